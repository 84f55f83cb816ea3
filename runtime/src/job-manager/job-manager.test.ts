// The JobManager against a storage in memory and scripted TaskManagers on virtual time: each of its ways through a job's life once. Faults in
// every combination are the simulation's business; the pure decisions have their own tables.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../test/fakes/job-graphs.ts';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import { type ErrorInfo, JobError } from '../core/job-error.ts';

const broken: ErrorInfo = { code: 'UserCodeFailed', message: 'boom', domain: 'user', retry: 'backoff' };
const hopeless: ErrorInfo = { ...broken, code: 'Hopeless', retry: 'never' };

test('a job waits for its slots, loads its state, and starts when every TaskManager is ready', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await harness.pass(100);
  assert.equal(started.state, 'WaitingForTaskManagers');
  const first = started.taskManager('tm-1', 1);
  await harness.pass(100);
  assert.equal(started.state, 'WaitingForTaskManagers');
  const second = started.taskManager('tm-2', 1);
  second.script = { silentOn: ['Deploy'] };
  await harness.pass(100);
  assert.equal(started.state, 'Deploying');
  assert.deepEqual(first.types(), ['Registered', 'Deploy']);
  second.ready();
  await harness.pass(100);
  assert.equal(started.state, 'Running');
  assert.deepEqual(first.types(), ['Registered', 'Deploy', 'Start']);
  const { restored, epoch, taskManagers } = started.jobManager.status();
  assert.deepEqual(restored, { source: 'Nothing', checkpointId: undefined, path: undefined, reason: 'Empty', note: undefined });
  assert.equal(epoch, 1);
  assert.deepEqual(taskManagers, { registered: 2, slotsTotal: 2, slotsRequired: 2, ids: ['tm-1', 'tm-2'] });
});

test('a checkpoint is told to the tasks only when it is in the lineage', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  const release = harness.storage.hold('lineage/');
  await harness.pass(10_000);
  assert.deepEqual(taskManager.types().slice(-1), ['TriggerCheckpoint']);
  assert.deepEqual(harness.storage.paths('chk-'), ['chk-000001-e1/_metadata']);
  release();
  await harness.pass(100);
  assert.deepEqual(taskManager.types().slice(-1), ['CheckpointCompleted']);
  assert.deepEqual(harness.types(), ['Opened', 'Completed']);
  assert.deepEqual(started.jobManager.status().checkpointCounts, { completed: 1, failed: 0, inProgress: 0 });
  assert.equal(started.jobManager.status().lastCheckpoint?.path, 'chk-000001-e1');
});

test('after the loss of a TaskManager the job restarts from its newest checkpoint with a new execution attempt', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const first = await started.running('tm-1', 1);
  const second = await started.running('tm-2', 1);
  await harness.pass(21_000);
  second.disconnect();
  await harness.pass(100);
  assert.equal(started.state, 'Restarting');
  assert.equal(started.jobManager.status().error?.code, 'TaskManagerLost');
  assert.ok(first.types().includes('Cancel'));
  await harness.pass(1000);
  assert.equal(started.state, 'WaitingForTaskManagers');
  const third = await started.running('tm-3', 1);
  assert.equal(started.state, 'Running');
  assert.equal(started.jobManager.status().error, undefined);
  assert.deepEqual(third.token, { epoch: 1, executionAttempt: 2 });
  const counts = [...first.subtasks, ...third.subtasks]
    .flatMap(({ operators }) => operators)
    .filter(({ uid }) => uid === 'counts');
  const parts = counts.flatMap(({ keyedParts }) =>
    keyedParts.map(({ handle }) => (handle.type === 'inline' ? handle.base64 : '')),
  );
  assert.deepEqual(parts.map((part) => Buffer.from(part, 'base64').toString()).sort(), ['counts#0@2', 'counts#1@2']);
  assert.equal(started.jobManager.status().restarts, 1);
  assert.equal(started.jobManager.status().lastFailure?.code, 'TaskManagerLost');
  assert.equal(started.jobManager.history.exceptions.at(-1)?.taskManagerId, 'tm-2');
});

test('a TaskManager that falls silent is lost, one that answers is not', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  await harness.pass(8000);
  assert.equal(started.state, 'Running');
  taskManager.script = { silentOn: ['Heartbeat', 'TriggerCheckpoint', 'Cancel'] };
  await harness.pass(5000);
  assert.notEqual(started.state, 'Running');
  assert.match(taskManager.closedBecause ?? '', /no heartbeat/);
});

test('a TaskManager whose tasks do not end after Cancel loses its connection and does not hold up the job', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const hung = await started.running('tm-1', 2);
  hung.script = { silentOn: ['Cancel'] };
  hung.fail(broken);
  await harness.pass(9000);
  assert.equal(started.state, 'Restarting');
  await harness.pass(3000);
  assert.match(hung.closedBecause ?? '', /did not end/);
  await started.running('tm-2', 2);
  assert.equal(started.state, 'Running');
});

test('messages of an older execution attempt change nothing', async () => {
  const harness = new JobManagerHarness(wordCountGraph({ bounded: true }));
  const started = harness.start();
  const taskManager = await started.running();
  const old = { epoch: 1, executionAttempt: 1 };
  taskManager.fail(broken);
  await harness.pass(2000);
  assert.deepEqual(taskManager.token, { epoch: 1, executionAttempt: 2 });
  for (const { task } of taskManager.subtasks) {
    taskManager.send({ type: 'EndOfInput', token: old, task });
  }
  taskManager.send({ type: 'TaskFailed', token: old, task: { vertexId: 'counts', subtaskIndex: 0 }, error: broken });
  await harness.pass(100);
  assert.equal(started.state, 'Running');
});

test('the job fails when its restart strategy gives up, and at once for an error that never heals', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ restartStrategy: { type: 'FixedDelay', attempts: 1, delaySeconds: 1 } });
  const taskManager = await started.running();
  taskManager.fail(broken);
  await harness.pass(2000);
  assert.equal(started.state, 'Running');
  taskManager.fail(broken);
  await harness.pass(2000);
  assert.equal(started.outcome?.state, 'Failed');
  assert.match(started.outcome?.error?.message ?? '', /boom.*allows 1 restart/);
  assert.deepEqual(taskManager.types().slice(-1), ['Shutdown']);

  const other = new JobManagerHarness();
  const failing = other.start();
  (await failing.running()).fail(hopeless);
  await other.pass(100);
  assert.equal(failing.outcome?.state, 'Failed');
});

test('a declined checkpoint is aborted; more of them than tolerated restart the tasks', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { decline: broken };
  await harness.pass(11_000);
  assert.equal(started.state, 'Running');
  assert.deepEqual(taskManager.types().slice(-1), ['CheckpointAborted']);
  await harness.pass(10_000);
  assert.equal(started.jobManager.history.exceptions.at(-1)?.error.code, 'TooManyCheckpointFailures');
  assert.equal(started.jobManager.status().failedCheckpoint?.code, broken.code);
  assert.deepEqual(harness.types(), ['Opened']);
});

test('a checkpoint whose manifest cannot be written fails, the job goes on, and nothing of it is in the lineage', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  harness.storage.faults = [{ operation: 'put', path: 'chk-', outcome: 'Unknown', retryable: false, once: true }];
  await harness.pass(11_000);
  assert.deepEqual(harness.types(), ['Opened']);
  assert.equal(started.state, 'Running');
  const { failedCheckpoint } = started.jobManager.status();
  assert.equal(failedCheckpoint?.id, 1);
  assert.match(failedCheckpoint?.message ?? '', /^could not write chk-000001-e1\/_metadata in /);
  await harness.pass(10_000);
  assert.deepEqual(harness.types(), ['Opened', 'Completed']);
  assert.equal(started.jobManager.status().lastCheckpoint?.id, 2);
  assert.equal(started.jobManager.status().failedCheckpoint, undefined, 'a later one was completed');
});

test('while the outcome of an append is unknown nothing follows from it, and failover waits for it', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  const path = 'lineage/00000000000000000002';
  harness.storage.faults = [{ operation: 'put', path, outcome: 'Unknown', retryable: true }];
  await harness.pass(10_500);
  taskManager.fail(broken);
  await harness.pass(20_000);
  assert.equal(started.state, 'Restarting');
  assert.ok(!taskManager.types().some((type) => type === 'CheckpointCompleted' || type === 'CheckpointAborted'));
  const { failedCheckpoint } = started.jobManager.status();
  assert.deepEqual([failedCheckpoint?.id, failedCheckpoint?.code], [1, 'LineageUnsettled']);
  harness.storage.faults = [];
  await harness.pass(10_000);
  assert.equal(started.state, 'Running');
  assert.equal(started.jobManager.status().failedCheckpoint, undefined);
  assert.deepEqual(harness.types().slice(0, 2), ['Opened', 'Completed']);
});

test('older checkpoints are condemned, and deleted only after the grace period', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  await harness.pass(31_000);
  const condemned = harness.storage.entries().find(({ type }) => type === 'Condemned');
  assert.deepEqual(condemned?.['names'], ['chk-000001-e1/_metadata']);
  assert.ok(harness.storage.paths('chk-').includes('chk-000001-e1/_metadata'));
  await harness.pass(70_000);
  assert.ok(!harness.storage.paths('chk-').includes('chk-000001-e1/_metadata'));
  assert.equal(started.state, 'Running');
});

test('what is condemned when the job ends is deleted at once, because no task is left that could need it', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  await harness.pass(31_000);
  let isClean = false;
  // A checkpoint of this epoch that came to nothing, whose files nobody names.
  await harness.storage.putIfAbsent('chk-000003-e1/counts-0-1/state', new Uint8Array(8));
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60 });
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Stopped');
  void started.jobManager.whenClean.then(() => {
    isClean = true;
  });
  await harness.pass(100);
  const stored = harness.storage.paths('').filter((path) => !path.startsWith('lineage/'));
  assert.deepEqual(stored, ['chk-000002-e1/_metadata', 'chk-000003-e1/_metadata', 'savepoints/000004-e1/_metadata']);
  assert.ok(isClean);
});

test('what an earlier JobManager left counts as leaked until it is deleted, and the status says so', async () => {
  const harness = new JobManagerHarness();
  const first = harness.start();
  await first.running();
  await harness.pass(11_000);
  first.jobManager.terminate();
  await harness.pass(1_000);
  await harness.storage.putIfAbsent('chk-000002-e1/counts-0-1/state', new Uint8Array(8));
  const second = harness.start({ attempt: { number: 2, token: 'attempt-2' }, podUid: 'pod-2' });
  assert.equal(second.jobManager.status().leakedObjects, undefined);
  await second.running('tm-2');
  assert.deepEqual(second.jobManager.status().leakedObjects, { count: 1, sizeBytes: 8 });
  await harness.pass(620_000);
  assert.deepEqual(second.jobManager.status().leakedObjects, { count: 0, sizeBytes: 0 });
  assert.ok(!harness.storage.paths('chk-').includes('chk-000002-e1/counts-0-1/state'));
});

test('tasks of a TaskManager that was lost may be at work until its lease is over, so the end of the job waits with deleting', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ restartStrategy: { type: 'None' } });
  await started.running('tm-1', 1);
  const lost = await started.running('tm-2', 1);
  await harness.pass(31_000);
  lost.disconnect();
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Failed');
  assert.ok(harness.storage.paths('chk-').includes('chk-000001-e1/_metadata'));
  await harness.pass(35_000);
  assert.deepEqual(harness.storage.paths('chk-'), ['chk-000002-e1/_metadata', 'chk-000003-e1/_metadata']);
});

test('what a lost TaskManager writes until its lease is over does not stay, also when the job leaves nothing else to delete', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ restartStrategy: { type: 'None' } });
  await started.running('tm-1', 1);
  const lost = await started.running('tm-2', 1);
  await harness.pass(11_000);
  lost.disconnect();
  await harness.pass(5_000);
  assert.equal(started.outcome?.state, 'Failed');
  let isClean = false;
  void started.jobManager.whenClean.then(() => {
    isClean = true;
  });
  await harness.storage.putIfAbsent(`shared/e1-${'ab'.repeat(32)}.sst`, new Uint8Array(8));
  await harness.pass(5_000);
  assert.ok(!isClean);
  await harness.pass(30_000);
  assert.ok(isClean);
  const stored = harness.storage.paths('').filter((path) => !path.startsWith('lineage/'));
  assert.deepEqual(stored, ['chk-000001-e1/_metadata']);
});

test('a savepoint is pinned, survives the checkpoints after it, and the same operation gives the same answer', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  const { jobManager } = started;
  assert.equal(jobManager.requestSavepoint({ operationId: 'op-1' }).state, 'InProgress');
  await harness.pass(100);
  const done = jobManager.requestSavepoint({ operationId: 'op-1' });
  assert.equal(done.state, 'Completed');
  assert.equal(done.location, 'memory:///lineage/savepoints/000001-e1');
  await harness.pass(120_000);
  assert.ok(harness.storage.objects.has('savepoints/000001-e1/_metadata'));
  assert.deepEqual(harness.types().filter((type) => type === 'Completed').length, 13);
});

test('the outcome of an operation survives the JobManager', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  started.jobManager.requestSavepoint({ operationId: 'op-1' });
  await harness.pass(100);
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(100);
  assert.equal(next.jobManager.requestSavepoint({ operationId: 'op-1' }).checkpointId, 1);
});

test('a declined savepoint fails with an outcome in the lineage, and the job runs on', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { decline: broken };
  started.jobManager.requestSavepoint({ operationId: 'op-1' });
  await harness.pass(100);
  assert.equal(started.jobManager.operation('op-1')?.state, 'Failed');
  assert.equal(harness.types().at(-1), 'Outcome');
  assert.equal(started.state, 'Running');
});

test('a savepoint that meets a failover is taken by the next tasks', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  started.jobManager.requestSavepoint({ operationId: 'op-1' });
  await harness.pass(100);
  taskManager.script = {};
  taskManager.fail(broken);
  await harness.pass(2000);
  assert.equal(started.jobManager.operation('op-1')?.state, 'Completed');
});

test('a stop takes a savepoint, waits for the commits, closes the lineage and ends the TaskManagers', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['CheckpointCompleted'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 });
  await harness.pass(1000);
  assert.equal(started.state, 'Stopping');
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'Completed']);
  const trigger = taskManager.received.find(({ type }) => type === 'TriggerCheckpoint');
  assert.ok(trigger?.type === 'TriggerCheckpoint' && trigger.stopSources);
  taskManager.commit(1);
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Stopped');
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'Completed', 'Closed']);
  assert.deepEqual(taskManager.types().slice(-2), ['Cancel', 'Shutdown']);
  const status = started.jobManager.status();
  assert.deepEqual(status.closed, { reason: 'StoppedWithSavepoint', checkpointId: 1, operationId: 'stop-1' });
  assert.equal(started.jobManager.operation('stop-1')?.location, 'memory:///lineage/savepoints/000001-e1');
});

test('a stop that is asked for when the lineage is closed already fails and writes nothing', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  // The tasks take their time to end, so that the JobManager is still there after `Closed`.
  taskManager.script = { silentOn: ['Cancel'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 });
  await harness.pass(1000);
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'Completed', 'Closed']);
  assert.equal(started.outcome, undefined);
  started.jobManager.requestStop({ operationId: 'stop-2', deadlineSeconds: 30 });
  await harness.pass(1000);
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'Completed', 'Closed']);
  assert.equal(started.jobManager.operation('stop-2')?.error?.code, 'JobOver');
});

test('a stop that misses its deadline is aborted and the job runs on with new tasks', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 });
  await harness.pass(29_000);
  assert.equal(started.state, 'Stopping');
  taskManager.script = {};
  await harness.pass(2000);
  assert.equal(started.state, 'Running');
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'StopAborted']);
  assert.equal(started.jobManager.operation('stop-1')?.error?.code, 'StopAborted');
  assert.deepEqual(taskManager.token, { epoch: 1, executionAttempt: 2 });
  assert.equal(started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 }).state, 'Failed');
});

test('when tasks are lost between the savepoint of a stop and its commits, the restored tasks commit and nothing runs again', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const lost = await started.running('tm-1');
  lost.script = { silentOn: ['CheckpointCompleted'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 });
  await harness.pass(100);
  lost.disconnect();
  await harness.pass(2000);
  const next = await started.running('tm-2');
  assert.equal(started.outcome?.state, 'Stopped');
  assert.ok(!next.types().includes('Start'));
  const sinks = next.received.flatMap((message) => (message.type === 'Deploy' ? message.deployment.subtasks : []));
  assert.deepEqual(
    sinks.flatMap(({ operators }) => operators.flatMap(({ committables }) => committables.map(({ data }) => data))),
    ['out#0@1', 'out#1@1'],
  );
});

test('when a stop is being given up while only Closed is missing, the tasks run after all', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const lost = await started.running('tm-1');
  lost.script = { silentOn: ['CheckpointCompleted'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 30 });
  await harness.pass(100);
  lost.disconnect();
  await harness.pass(29_000);
  const next = started.taskManager('tm-2');
  next.script = { silentOn: ['Deploy'] };
  const release = harness.storage.hold('lineage/');
  await harness.pass(2000);
  next.ready();
  await harness.pass(1000);
  assert.equal(started.state, 'Stopping');
  release();
  await harness.pass(1000);
  assert.equal(started.state, 'Running');
  assert.deepEqual(harness.types().slice(-1), ['StopAborted']);
});

test('a JobManager that opens after an unfinished stop finishes it, and nothing else', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60 });
  await harness.pass(1000);
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(100);
  assert.equal(next.state, 'Stopping');
  await next.running('tm-2');
  assert.equal(next.outcome?.state, 'Stopped');
  assert.equal(next.jobManager.operation('stop-1')?.state, 'Completed');
  assert.deepEqual(harness.types(), ['Opened', 'Stopping', 'Opened', 'Completed', 'Closed']);
});

test('a JobManager that opens past the deadline of an unfinished stop aborts it first and runs', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 5 });
  await harness.pass(1000);
  started.jobManager.terminate();
  await harness.pass(10_000);
  const next = harness.start({ podUid: 'pod-2' });
  await next.running('tm-2');
  assert.equal(next.state, 'Running');
  assert.deepEqual(harness.types().slice(0, 4), ['Opened', 'Stopping', 'Opened', 'StopAborted']);
});

test('that the output is committed outlives a start that dies before its first checkpoint', async () => {
  const harness = new JobManagerHarness();
  const stopped = harness.start();
  await stopped.running();
  stopped.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60 });
  await harness.pass(1000);
  // Whoever owns the output may have taken it away by now, and the next revision may have another sink.
  const graph = wordCountGraph({ uids: { sink: 'another' } });
  const attempt = { number: 2, token: 'attempt-2' };
  const starts = ['pod-2', 'pod-3'].map((podUid) => () => harness.start({ attempt, podUid }, graph));
  for (const [index, start] of starts.entries()) {
    const started = start();
    const taskManager = await started.running(`tm-${index}`);
    assert.equal(started.outcome?.error, undefined);
    assert.equal(started.state, 'Running');
    const restored = taskManager.subtasks.flatMap(({ operators }) => operators);
    assert.deepEqual(
      restored.flatMap(({ committables }) => committables),
      [],
    );
    started.jobManager.terminate();
    await harness.pass(100);
  }
});

test('a process of an attempt that was closed reports how it was closed', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60 });
  await harness.pass(1000);
  const again = harness.start({ podUid: 'pod-2' });
  const taskManager = again.taskManager('tm-9');
  await harness.pass(100);
  assert.equal(again.outcome?.state, 'Stopped');
  assert.equal(again.jobManager.status().closed?.operationId, 'stop-1');
  assert.deepEqual(taskManager.types(), ['Shutdown']);
});

test('a finite job takes a final checkpoint, commits it and closes the lineage', async () => {
  const harness = new JobManagerHarness(wordCountGraph({ bounded: true }));
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['CheckpointCompleted'] };
  taskManager.endInput();
  await harness.pass(1000);
  assert.equal(started.state, 'Finishing');
  assert.deepEqual(harness.types(), ['Opened', 'Completed']);
  taskManager.commit(1);
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Finished');
  assert.equal(started.jobManager.status().closed?.reason, 'Finished');
});

test('a finite job that has finished is Finished for every JobManager that is started for it again', async () => {
  const harness = new JobManagerHarness(wordCountGraph({ bounded: true }));
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.endInput();
  await harness.pass(1000);
  assert.equal(started.outcome?.state, 'Finished');
  const entries = harness.types();
  for (const podUid of ['pod-2', 'pod-3']) {
    const again = harness.start({ podUid });
    await harness.pass(1000);
    assert.equal(again.outcome?.state, 'Finished');
    assert.equal(again.jobManager.status().closed?.reason, 'Finished');
  }
  assert.deepEqual(harness.types(), entries, 'and nothing runs again');
});

test('a final checkpoint that fails is taken again', async () => {
  const harness = new JobManagerHarness(wordCountGraph({ bounded: true }));
  const started = harness.start();
  const taskManager = await started.running();
  taskManager.script = { decline: broken };
  taskManager.endInput();
  await harness.pass(100);
  taskManager.script = {};
  await harness.pass(2000);
  assert.equal(started.outcome?.state, 'Finished');
});

test('a newer JobManager fences the older one, which stops everything and writes nothing more', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(4000);
  assert.equal(started.outcome?.state, 'Fenced');
  assert.match(taskManager.closedBecause ?? '', /superseded/);
  assert.equal(next.jobManager.status().epoch, 2);
  const entries = harness.types();
  await harness.pass(60_000);
  assert.deepEqual(harness.types(), entries);
});

test('a superseded pod is refused and does not fence the newer one', async () => {
  const harness = new JobManagerHarness();
  harness.start();
  await harness.pass(100);
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(5000);
  const again = harness.start({ podUid: 'pod-1' });
  const taskManager = again.taskManager('tm-1');
  await harness.pass(5000);
  assert.equal(again.outcome?.state, 'Refused');
  assert.equal(again.outcome?.error?.code, 'PodSuperseded');
  assert.equal(next.state, 'WaitingForTaskManagers');
  assert.deepEqual(taskManager.types(), ['RegistrationRefused']);
});

test('a graph that cannot read the newest checkpoint is refused by name, and the running job is not touched', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  await harness.pass(10_000);
  const graph = wordCountGraph({ uids: { keyed: 'renamed' } });
  const next = harness.start({ podUid: 'pod-2', attempt: { number: 2, token: 'attempt-2' } }, graph);
  await harness.pass(5000);
  assert.equal(next.outcome?.state, 'Refused');
  assert.match(next.outcome?.error?.message ?? '', /'counts'/);
  assert.equal(started.state, 'Running');
  assert.ok(!harness.types().slice(1).includes('Opened'));
});

test('a corrupt manifest is refused by name and nothing older is taken instead', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  await harness.pass(21_000);
  started.jobManager.terminate();
  await harness.pass(100);
  const path = 'chk-000002-e1/_metadata';
  harness.storage.objects.set(path, new TextEncoder().encode(harness.storage.text(path).replace('counts', 'cxunts')));
  const entries = harness.types();
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(1000);
  assert.equal(next.outcome?.state, 'Refused');
  assert.match(next.outcome?.error?.message ?? '', /chk-000002-e1\/_metadata/);
  assert.deepEqual(harness.types(), entries);
});

test('a checkpoint that completes while a successor opens is what the successor restores', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  const release = harness.storage.hold('lineage/');
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(100);
  started.jobManager.requestSavepoint({ operationId: 'op-1' });
  await harness.pass(100);
  assert.deepEqual(harness.types(), ['Opened', 'Completed']);
  release();
  await harness.pass(100);
  assert.deepEqual(harness.types(), ['Opened', 'Completed', 'Opened']);
  assert.equal(next.jobManager.status().restored?.checkpointId, 1);
});

test('a storage that does not answer is tried until it does; one that cannot be written is refused', async () => {
  const harness = new JobManagerHarness();
  harness.storage.faults = [{ operation: 'put', path: 'probe/', outcome: 'NotApplied', retryable: true }];
  const started = harness.start();
  await harness.pass(5000);
  assert.equal(started.state, 'Initializing');
  assert.equal(started.jobManager.status().error?.code, 'CheckpointStorageNotWritable');
  harness.storage.faults = [];
  await harness.pass(10_000);
  assert.equal(started.state, 'WaitingForTaskManagers');
  assert.equal(started.jobManager.status().error, undefined);

  const other = new JobManagerHarness();
  other.storage.faults = [{ operation: 'put', path: 'probe/', outcome: 'NotApplied', retryable: false }];
  const refused = other.start();
  await other.pass(100);
  assert.equal(refused.outcome?.state, 'Refused');
  assert.deepEqual(other.types(), []);
});

test('a JobManager that finds the disk full waits for space instead of giving the job up, at its probe and at its first entry', async () => {
  for (const path of ['probe/', 'lineage/']) {
    const harness = new JobManagerHarness();
    harness.storage.faults = [{ operation: 'put', path, outcome: 'NotApplied', retryable: false, mayHeal: true }];
    const started = harness.start();
    await harness.pass(60_000);
    assert.equal(started.outcome, undefined);
    assert.equal(started.state, 'Initializing');
    assert.notEqual(started.jobManager.status().error, undefined);
    harness.storage.faults = [];
    await harness.pass(10_000);
    assert.equal(started.state, 'WaitingForTaskManagers');
    assert.equal(started.jobManager.status().error, undefined);
  }
});

test('a TaskManager with another JobGraph is refused', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = started.taskManager('tm-1', 2, { jobGraphHash: 'other' });
  await harness.pass(100);
  assert.deepEqual(taskManager.types(), ['RegistrationRefused']);
  assert.equal(started.state, 'WaitingForTaskManagers');
});

test('cancel ends the tasks at once, records its outcome and leaves the lineage open', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  started.jobManager.cancel({ operationId: 'cancel-1' });
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Canceled');
  assert.deepEqual(taskManager.types().slice(-2), ['Cancel', 'Shutdown']);
  assert.deepEqual(harness.types(), ['Opened', 'Outcome']);
  assert.equal(started.jobManager.operation('cancel-1')?.state, 'Completed');
});

test('a JobManager that is told to end writes nothing, and the next one continues', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  await harness.pass(10_000);
  started.jobManager.terminate();
  await harness.pass(100);
  assert.equal(started.outcome?.error?.code, 'Terminated');
  assert.ok(!taskManager.types().includes('Shutdown'));
  assert.ok(taskManager.closedBecause !== undefined);
  assert.deepEqual(harness.types(), ['Opened', 'Completed']);
  const next = harness.start({ podUid: 'pod-2' });
  await harness.pass(100);
  assert.equal(next.jobManager.status().restored?.checkpointId, 1);
});

test('restore.from None starts empty once; the next JobManager continues', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  await started.running();
  await harness.pass(10_000);
  started.jobManager.terminate();
  await harness.pass(100);
  const restore = { from: 'None', token: 'none-1' } as const;
  const empty = harness.start({ podUid: 'pod-2', attempt: { number: 2, token: 'a2' }, restore });
  await empty.running('tm-2');
  assert.equal(empty.jobManager.status().restored?.reason, 'RequestedNone');
  await harness.pass(10_000);
  empty.jobManager.terminate();
  await harness.pass(100);
  const next = harness.start({ podUid: 'pod-3', attempt: { number: 2, token: 'a2' }, restore });
  await harness.pass(100);
  assert.equal(next.jobManager.status().restored?.checkpointId, 2);
  assert.match(next.jobManager.status().restored?.note ?? '', /honoured before/);
});

test('a source that cannot say what there is to read is tried again by the restart strategy', async () => {
  const harness = new JobManagerHarness();
  const discover = harness.discoverSplits;
  harness.discoverSplits = async () => {
    throw new JobError('no such directory', { domain: 'external', retry: 'backoff', code: 'InputMissing' });
  };
  const started = harness.start();
  await started.running();
  assert.equal(started.jobManager.status().error?.code, 'InputMissing');
  harness.discoverSplits = discover;
  await harness.pass(2000);
  assert.equal(started.state, 'Running');
});

test('operations are refused with a reason in states that have no room for them', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  assert.throws(() => started.jobManager.requestSavepoint({ operationId: 'op-1' }), /Initializing/);
  await started.running();
  started.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60 });
  assert.throws(() => started.jobManager.requestStop({ operationId: 'stop-2', deadlineSeconds: 60 }), JobError);
  await harness.pass(1000);
  assert.throws(() => started.jobManager.cancel({ operationId: 'cancel-1' }), /Stopped/);
});

test('source subtasks hear how far the others of their alignment group are, until those fall silent', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const first = await started.running('tm-1', 1);
  const second = await started.running('tm-2', 1);
  const report = (taskManager: typeof first, minimumMs: number | undefined) => {
    const [subtask] = taskManager.subtasks;
    assert.ok(subtask !== undefined && taskManager.token !== undefined);
    const sources = [{ task: subtask.task, group: 'g', minimumMs }];
    taskManager.send({ type: 'SourceEventTimes', token: taskManager.token, sources });
  };
  const heard = async (taskManager: typeof first) => {
    await harness.pass(100);
    const message = taskManager.received.findLast(({ type }) => type === 'AlignSources');
    return message?.type === 'AlignSources' ? message.sources.map(({ othersMinimumMs }) => othersMinimumMs) : undefined;
  };
  report(first, 500);
  assert.deepEqual(await heard(first), [undefined]);
  report(second, 90_000);
  assert.deepEqual(await heard(second), [500]);
  report(first, 600);
  assert.deepEqual(await heard(first), [90_000]);
  report(first, undefined);
  report(second, 91_000);
  assert.deepEqual(await heard(second), [undefined]);
  report(first, 700);
  await harness.pass(11_000);
  report(second, 92_000);
  assert.deepEqual(await heard(second), [undefined]);
});
