// What the JobManager does about failures, against scripted TaskManagers on virtual time: where subtasks go again, when, and what it tells of it.
// The decisions by themselves are tested in core/scheduling, real files and processes with the TaskManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import type { ScriptedTaskManager } from '../../test/fakes/scripted-task-manager.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type { RestartStrategy } from '../core/scheduling/restart-strategy.ts';

const exponential: RestartStrategy = {
  ...{ type: 'ExponentialDelay', initialDelaySeconds: 1, maxDelaySeconds: 60, multiplier: 2, jitterPercent: 0 },
  resetAfterSeconds: 600,
};
const userError: ErrorInfo = { code: 'UserCodeFailed', message: 'boom', domain: 'user', retry: 'backoff' };
const externalError: ErrorInfo = { ...userError, code: 'SinkUnreachable', domain: 'external' };
const internalError: ErrorInfo = { ...userError, code: 'Unexpected', domain: 'internal' };

const withFiles = { stateFileSizeBytes: 1_000_000 };

function countsOn(taskManager: ScriptedTaskManager): readonly number[] {
  return taskManager.subtasks.filter(({ task }) => task.vertexId === 'counts').map(({ task }) => task.subtaskIndex);
}

/** Two TaskManagers with state in files, and one to spare whose id comes first. */
async function jobWithSpare(harness: JobManagerHarness) {
  const started = harness.start({ stateBackend: 'RocksDB', restartStrategy: exponential });
  const one = started.taskManager('tm-1', 1);
  const two = started.taskManager('tm-2', 1);
  one.script = withFiles;
  two.script = withFiles;
  await harness.pass(100);
  const spare = started.taskManager('tm-0-spare', 1);
  spare.script = withFiles;
  await harness.pass(21_000);
  assert.equal(started.state, 'Running');
  assert.deepEqual(countsOn(spare), []);
  return { started, one, two, spare };
}

test('a lost TaskManager is replaced by a spare one at once, and the others keep their state', async () => {
  const harness = new JobManagerHarness();
  const { started, one, two, spare } = await jobWithSpare(harness);
  two.disconnect();
  await harness.pass(10);
  assert.equal(started.state, 'Running');
  assert.deepEqual(countsOn(one), [0]);
  assert.deepEqual(countsOn(spare), [1]);
  // The replacement that the platform starts is the next spare one.
  const replacement = started.taskManager('tm-3', 1);
  await harness.pass(21_000);
  assert.deepEqual(countsOn(replacement), []);
  one.disconnect();
  await harness.pass(10);
  assert.equal(started.state, 'Running');
  assert.deepEqual(countsOn(spare), [1]);
  assert.deepEqual(countsOn(replacement), [0]);
});

test('a TaskManager that falls silent is replaced within its heartbeat timeout', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({
    restartStrategy: exponential,
    heartbeat: { intervalMs: 500, timeoutMs: 2000, leaseMs: 10_000 },
  });
  const hung = await started.running('tm-1', 2);
  const spare = started.taskManager('tm-2', 2);
  await harness.pass(11_000);
  hung.script = { silentOn: ['Heartbeat', 'TriggerCheckpoint', 'Cancel'] };
  await harness.pass(2600);
  assert.equal(started.state, 'Running');
  assert.deepEqual(countsOn(spare), [0, 1]);
});

/** Of checkpoints that were triggered. */
function triggeredOn(taskManager: ScriptedTaskManager): readonly number[] {
  return taskManager.received.flatMap((message) => (message.type === 'TriggerCheckpoint' ? [message.checkpointId] : []));
}

function announceLeaving(taskManager: ScriptedTaskManager): void {
  assert.ok(taskManager.token !== undefined);
  taskManager.send({ type: 'Leaving', token: taskManager.token });
}

test('a TaskManager that is told to end is let go when a checkpoint that began after it is complete and committed', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { intervalSeconds: 3600, minPauseSeconds: 600 } });
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint', 'CheckpointCompleted'] };
  announceLeaving(taskManager);
  await harness.pass(100);
  const [checkpointId = 0] = triggeredOn(taskManager);
  assert.equal(triggeredOn(taskManager).length, 1);
  taskManager.acknowledge(checkpointId);
  await harness.pass(100);
  assert.equal(started.jobManager.status().lastCheckpoint?.id, checkpointId);
  assert.ok(!taskManager.types().includes('Leave'));
  taskManager.commit(checkpointId);
  await harness.pass(100);
  assert.equal(taskManager.types().at(-1), 'Leave');
  // It stays as good as its word, and whoever comes next goes on from there.
  taskManager.disconnect();
  await started.running('tm-2');
  await harness.pass(2000);
  assert.equal(started.state, 'Running');
});

test('a checkpoint that was under way when a TaskManager was told to end is followed by one that holds the rest', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { intervalSeconds: 10, minPauseSeconds: 600 } });
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  await harness.pass(10_000);
  const [first = 0] = triggeredOn(taskManager);
  announceLeaving(taskManager);
  await harness.pass(100);
  taskManager.script = {};
  taskManager.acknowledge(first);
  await harness.pass(100);
  assert.deepEqual(triggeredOn(taskManager), [first, first + 1]);
  assert.equal(taskManager.types().at(-1), 'Leave');
  assert.equal(started.jobManager.status().lastCheckpoint?.id, first + 1);
});

test('a TaskManager that is told to end is let go when its checkpoint fails, and hears nothing more than Cancel when its tasks end', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { intervalSeconds: 3600 } });
  const taskManager = await started.running();
  taskManager.script = { decline: externalError };
  announceLeaving(taskManager);
  await harness.pass(100);
  assert.equal(taskManager.types().at(-1), 'Leave');
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  announceLeaving(taskManager);
  await harness.pass(100);
  taskManager.fail(userError);
  await harness.pass(100);
  assert.ok(taskManager.types().includes('Cancel'));
});

test('losses that come before the job has got any further wait longer each time', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ restartStrategy: exponential });
  const delays: number[] = [];
  let taskManager = await started.running('tm-0', 2);
  for (let round = 1; round < 4; round++) {
    const spare = started.taskManager(`tm-${round}`, 2);
    await harness.pass(100);
    taskManager.disconnect();
    taskManager = spare;
    const failedAtMs = harness.time.monotonicMs();
    do {
      await harness.pass(10);
    } while (started.state !== 'Running');
    delays.push(Math.round((harness.time.monotonicMs() - failedAtMs) / 100) / 10);
  }
  assert.deepEqual(delays, [0, 1, 2]);
});

test('errors of every class are tried again as the strategy says, unless the error says that it comes back', async (context) => {
  for (const error of [userError, externalError, internalError]) {
    await context.test(error.domain, async () => {
      const harness = new JobManagerHarness();
      const started = harness.start({ restartStrategy: exponential });
      const taskManager = await started.running();
      taskManager.fail(error);
      await harness.pass(900);
      assert.equal(started.state, 'Restarting');
      await harness.pass(200);
      assert.equal(started.state, 'Running');
      taskManager.fail({ ...error, retry: 'never' });
      await harness.pass(100);
      assert.equal(started.outcome?.state, 'Failed');
      assert.equal(started.outcome?.error?.code, error.code);
      assert.match(started.outcome?.error?.message ?? '', /boom \(not restarted, because the error \w+ comes back/);
    });
  }
});

test('a failure rate that is exceeded fails the job', async () => {
  const harness = new JobManagerHarness();
  const restartStrategy = { type: 'FailureRate', maxFailuresPerInterval: 1, intervalSeconds: 60, delaySeconds: 1 } as const;
  const started = harness.start({ restartStrategy });
  const taskManager = await started.running();
  taskManager.fail(userError);
  await harness.pass(1100);
  assert.equal(started.state, 'Running');
  taskManager.fail(userError);
  await harness.pass(100);
  assert.equal(started.outcome?.state, 'Failed');
  assert.match(started.outcome?.error?.message ?? '', /failed 2 times within 60 s and the restart strategy allows 1 failures/);
});

test('nothing starts before all of the state is there, and until then the status says how much is', async () => {
  const harness = new JobManagerHarness();
  const { started, one, two, spare } = await jobWithSpare(harness);
  spare.script = { ...withFiles, silentOn: ['Deploy'] };
  two.disconnect();
  await harness.pass(100);
  const { token } = spare;
  assert.ok(token !== undefined);
  one.send({ type: 'RestoreProgress', token, restoredKeyGroups: 64, linkedSizeBytes: 1_000_000, fetchedSizeBytes: 0 });
  spare.send({ type: 'RestoreProgress', token, restoredKeyGroups: 0, linkedSizeBytes: 0, fetchedSizeBytes: 400_000 });
  await harness.pass(100);
  assert.equal(started.state, 'Deploying');
  assert.deepEqual(started.jobManager.status().restoring, {
    ...{ restoredKeyGroups: 64, keyGroups: 128 },
    ...{ linkedSizeBytes: 1_000_000, fetchedSizeBytes: 400_000, sizeBytes: 2_000_000 },
  });
  assert.ok(!one.types().slice(-2).includes('Start'));
  spare.ready();
  await harness.pass(100);
  assert.equal(one.types().at(-1), 'Start');
  assert.equal(spare.types().at(-1), 'Start');
});

test('a new JobManager waits a moment for the TaskManagers that have the state, and no longer', async () => {
  const harness = new JobManagerHarness();
  const { started } = await jobWithSpare(harness);
  const checkpointId = started.jobManager.status().lastCheckpoint?.id ?? 0;
  for (const index of [0, 1]) {
    const path = `chk-${checkpointId}/counts-${index}.sst`;
    await harness.storage.putIfAbsent(path, new Uint8Array(withFiles.stateFileSizeBytes));
  }
  started.jobManager.terminate();
  await harness.pass(100);
  const next = harness.start({ podUid: 'pod-2', stateBackend: 'RocksDB', restartStrategy: exponential });
  await harness.pass(100);
  const spare = next.taskManager('tm-0-spare', 2);
  const keyGroups = [
    { first: 0, last: 63 },
    { first: 64, last: 127 },
  ];
  await harness.pass(300);
  assert.equal(next.state, 'WaitingForTaskManagers');
  const localParts = keyGroups.map((range) => ({
    ...{ uid: 'counts', keyGroups: range, checkpointId, epoch: 1, sizeBytes: 1_000_000 },
  }));
  const owner = next.taskManager('tm-1', 2, { localParts });
  await harness.pass(10);
  assert.equal(next.state, 'Running');
  assert.deepEqual(countsOn(owner), [0, 1]);
  assert.deepEqual(countsOn(spare), []);

  next.jobManager.terminate();
  await harness.pass(100);
  const last = harness.start({ podUid: 'pod-3', stateBackend: 'RocksDB', restartStrategy: exponential });
  await harness.pass(100);
  last.taskManager('tm-0-spare', 2);
  await harness.pass(600);
  assert.equal(last.state, 'Running');
});

test('a spare TaskManager is told of every completed checkpoint, and what it has brought is where its subtasks go', async () => {
  const harness = new JobManagerHarness();
  const { started, one, two, spare } = await jobWithSpare(harness);
  const second = started.taskManager('tm-1-spare', 1);
  await harness.pass(10_000);
  const told = spare.received.filter((message) => message.type === 'Prefetch');
  const [newest] = told.slice(-1);
  assert.ok(newest !== undefined);
  assert.equal(newest.checkpointId, started.jobManager.status().lastCheckpoint?.id);
  assert.deepEqual(
    newest.parts.map(({ uid, subtaskIndex }) => `${uid}-${subtaskIndex}`),
    ['counts-0', 'counts-1'],
  );
  // Another one begins elsewhere, so that together they have more.
  const [other] = second.received.filter((message) => message.type === 'Prefetch').slice(-1);
  assert.deepEqual(
    other?.parts.map(({ subtaskIndex }) => subtaskIndex),
    [1, 0],
  );
  assert.ok([one, two].every(({ received }) => received.every(({ type }) => type !== 'Prefetch')));
  const parts = [
    { uid: 'counts', keyGroups: { first: 64, last: 127 }, checkpointId: newest.checkpointId, epoch: 1, sizeBytes: 1 },
  ];
  second.send({ type: 'LocalParts', parts });
  await harness.pass(10);
  two.disconnect();
  await harness.pass(10);
  assert.deepEqual(countsOn(second), [1]);
});
