import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { jobStatus } from '../../../test/fakes/live-view.ts';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStatus, Rollout } from '../../api/flink-job-status.ts';
import { eventsBetween } from './job-events.ts';
import { describeState, type JobSnapshot } from './job-snapshot.ts';

const time = '2026-01-01T00:00:00.000Z';
const purgingSpec = { job: { module: './w.ts' }, state: { checkpointStorage: 'file:///c' }, checkpoints: { onDelete: 'Purge' } };

function flinkJob(status: Partial<FlinkJobStatus>): StoredFlinkJob {
  const metadata = {
    name: 'words',
    namespace: 'default',
    uid: 'u',
    generation: 1,
    resourceVersion: '1',
    creationTimestamp: time,
    finalizers: [],
  };
  const full = { state: 'Running', conditions: [], rollouts: 1, restarts: 0, revision: 'aaa', ...status };
  return { apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', metadata, spec: {}, status: full };
}

function rollout(overrides: Partial<Rollout> = {}): Rollout {
  return {
    id: 2,
    reason: 'Upgrade',
    state: 'PreFlight',
    revision: 'bbb',
    generation: 2,
    startedTime: time,
    stateTime: time,
    try: 1,
    ...overrides,
  } as Rollout;
}

function snapshot(status: Partial<FlinkJobStatus> = {}, job: Partial<JobStatusDocument> | null = {}): JobSnapshot {
  return { atMs: 7, flinkJob: flinkJob(status), job: job === null ? undefined : jobStatus(job) };
}

function texts(before: JobSnapshot | undefined, after: JobSnapshot): readonly string[] {
  return eventsBetween(before, after).map(({ reason, message }) => `${reason}: ${message}`);
}

test('nothing new gives no events', () => {
  assert.deepEqual(texts(snapshot(), snapshot()), []);
  assert.deepEqual(texts(snapshot({ rollout: rollout() }), snapshot({ rollout: rollout() })), []);
});

test('an upgrade is told step by step', () => {
  const steps = [
    snapshot(),
    snapshot({ rollout: rollout() }),
    snapshot({ rollout: rollout({ state: 'Stopping', stopMode: 'Savepoint' }) }),
    snapshot({ rollout: rollout({ state: 'Starting' }), attempt: attempt(3) }, null),
    snapshot({ revision: 'bbb', attempt: attempt(3) }, { podUid: 'p2', attempt: { number: 3, token: 't' }, epoch: 4 }),
  ];
  const told = steps.slice(1).flatMap((step, index) => texts(steps[index], step));
  assert.deepEqual(told, [
    'Upgrade: checking revision bbb before anything is touched',
    'Stopping: the running revision is being stopped with a savepoint',
    'Starting: revision bbb as attempt 3',
    'RolledOut: the upgrade is complete: revision bbb runs as attempt 3',
    'Restored: continued from checkpoint chk-000041-e2',
    'Running: 2 tasks at parallelism 2, epoch 4',
  ]);
});

function attempt(number: number): NonNullable<FlinkJobStatus['attempt']> {
  return { number, token: 't', startedTime: time, taskManagers: 1, instance: 1, instanceTime: time, restoreFrom: 'Latest' };
}

test('a problem is told once, with its remedy, whoever reports it', () => {
  const problem = { code: 'StateMissing', message: 'operator counts lost its state\nand more', remedy: 'Bring it back.' };
  const blocked = snapshot({ rollout: rollout({ state: 'Blocked' }), error: problem });
  assert.deepEqual(texts(snapshot({ rollout: rollout() }), blocked), [
    'StateMissing: operator counts lost its state. Bring it back.',
  ]);
  assert.deepEqual(texts(blocked, blocked), []);
  const both = snapshot({ error: problem }, { error: { ...problem, domain: 'user', retry: 'never' } });
  assert.deepEqual(texts(snapshot(), both).length, 1);
});

test('a killed TaskManager, the restart and its end are told', () => {
  const lost = { restarts: 1, state: 'Restarting' as const, taskManagers: { registered: 1, slotsTotal: 2, slotsRequired: 2 } };
  assert.deepEqual(texts(snapshot(), snapshot({}, lost)), [
    'TaskManagerLost: 1 TaskManager gone, 1 left',
    'Restarting: it goes on from checkpoint 42',
  ]);
  assert.deepEqual(texts(snapshot({}, lost), snapshot({}, { restarts: 1 })), [
    'TaskManagerJoined: 2 TaskManagers with 4 slots',
    'Running: 2 tasks at parallelism 2, epoch 3',
  ]);
});

test('a TaskManager that is lost with an error is told once', () => {
  const error = {
    code: 'TaskManagerLost',
    message: 'the other side closed the connection',
    domain: 'external' as const,
    retry: 'backoff' as const,
  };
  const after = snapshot({}, { error, taskManagers: { registered: 1, slotsTotal: 2, slotsRequired: 2 } });
  assert.deepEqual(texts(snapshot(), after), ['TaskManagerLost: the other side closed the connection']);
});

test('TaskManagers that leave because the job ends are no news', () => {
  const gone = { state: 'Stopped' as const, taskManagers: { registered: 0, slotsTotal: 0, slotsRequired: 2 } };
  assert.deepEqual(texts(snapshot({}, { state: 'Stopping' }), snapshot({}, gone)), []);
  assert.deepEqual(texts(snapshot({}, gone), snapshot({}, null)), []);
});

test('a JobManager that goes silent or is replaced is told', () => {
  assert.deepEqual(texts(snapshot(), snapshot({}, null)), ['JobManagerSilent: no JobManager answers']);
  assert.deepEqual(
    texts(snapshot(), snapshot({}, { podUid: 'p2', epoch: 4 }))[0],
    'JobManagerReplaced: another JobManager runs the job, epoch 4',
  );
});

test('starting from nothing is told in full', () => {
  const nothing = (reason: 'Empty' | 'RequestedNone') => ({
    source: 'Nothing' as const,
    checkpointId: undefined,
    path: undefined,
    reason,
    note: undefined,
  });
  const told = (reason: 'Empty' | 'RequestedNone') =>
    texts(snapshot({}, { restored: undefined }), snapshot({}, { restored: nothing(reason) }));
  assert.deepEqual(told('RequestedNone'), ['Restored: started from nothing, as asked: the state that was there is not used']);
  assert.deepEqual(told('Empty'), ['Restored: started from nothing, there was no state yet']);
});

test('savepoints and failed checkpoints are told, and those before the first look are not', () => {
  const savepoint = {
    operationId: 'o1',
    type: 'Savepoint' as const,
    state: 'Completed' as const,
    checkpointId: 9,
    location: 'file:///s',
    error: undefined,
  };
  const after = snapshot({}, { operations: [savepoint], checkpointCounts: { completed: 1, failed: 2, inProgress: 0 } });
  assert.deepEqual(texts(snapshot({}, { checkpointCounts: { completed: 1, failed: 1, inProgress: 0 } }), after), [
    'CheckpointFailed: 1 checkpoint failed, 2 so far',
    'Savepoint: savepoint 9 is complete: file:///s',
  ]);
  assert(!texts(undefined, after).some((text) => text.startsWith('Savepoint')));
});

test('savepoints of earlier JobManagers are no news when the next one opens the lineage', () => {
  const savepoint = {
    ...{ operationId: 'o1', type: 'Savepoint' as const, state: 'Completed' as const, checkpointId: 9 },
    ...{ location: 'file:///s', error: undefined },
  };
  const opened = snapshot({}, { podUid: 'p2', epoch: 4, operations: [savepoint] });
  const told = (before: JobSnapshot) => texts(before, opened).filter((text) => text.startsWith('Savepoint'));
  assert.deepEqual(told(snapshot({}, { podUid: 'p1', epoch: 3 })), []);
  assert.deepEqual(told(snapshot({}, { podUid: 'p2', epoch: undefined })), []);
  const underWay = { ...savepoint, state: 'InProgress' as const, location: undefined };
  assert.deepEqual(told(snapshot({}, { podUid: 'p1', epoch: 3, operations: [underWay] })), [
    'Savepoint: savepoint 9 is complete: file:///s',
  ]);
});

test('the end of a job is told with what its state is', () => {
  const ended = { state: 'Suspended' as const, time, generation: 1, checkpointId: 43 };
  assert.deepEqual(texts(snapshot({}, null), snapshot({ ended }, null)), [
    'Suspended: the job has ended, its state is checkpoint 43',
  ]);
});

test('the state of the whole is the JobManager’s where it answers, else the controller’s', () => {
  const label = (of: JobSnapshot) => describeState(of).label;
  assert.equal(label(snapshot({}, { state: 'Restarting' })), 'Restarting');
  assert.equal(label(snapshot({ state: 'Starting' }, null)), 'Starting');
  assert.equal(label(snapshot({ rollout: rollout() }, null)), 'Checking');
  assert.equal(label(snapshot({ ended: { state: 'Suspended', time, generation: 1 } }, { state: 'Stopped' })), 'Suspended');
  assert.equal(label({ atMs: 0, flinkJob: undefined, job: undefined }), 'Deleted');
});

test('a JobManager that goes with its job is no news, one that falls silent is', () => {
  const ended = { state: 'Suspended' as const, time, generation: 2 };
  assert.deepEqual(texts(snapshot({ ended }), snapshot({ ended }, null)), []);
  assert.deepEqual(texts(snapshot(), snapshot({}, null)), ['JobManagerSilent: no JobManager answers']);
});

test('a stop that waits for the job to run says so, and then how it stops', () => {
  const waiting = snapshot({ rollout: rollout({ state: 'Stopping' }) }, { state: 'Restarting' });
  const stopping = snapshot({ rollout: rollout({ state: 'Stopping', stopMode: 'Savepoint' }) }, { state: 'Restarting' });
  assert.match(texts(snapshot({}, { state: 'Restarting' }), waiting).join(), /^Stopping: the job does not run now/);
  assert.deepEqual(texts(waiting, stopping), ['Stopping: the running revision is being stopped with a savepoint']);
});

test('a resource that is gone is told, and shown in place of numbers of the past', () => {
  const gone = { atMs: 7, flinkJob: undefined, job: undefined };
  assert.match(texts(snapshot(), gone).join(), /^Deleted: .* storage stays/);
  const before = snapshot();
  const purging = { ...flinkJob({}), spec: { ...purgingSpec } };
  assert.match(texts({ ...before, flinkJob: purging }, gone).join(), /^Deleted: .* is purged/);
  assert.equal(describeState(gone).label, 'Deleted');
});

test('a rollout that was dropped is not called complete', () => {
  const deletion = { deadlineTime: time, operationId: 'o' };
  for (const before of [snapshot({ rollout: rollout({ state: 'Blocked' }) }), snapshot({ rollout: rollout() })]) {
    assert.deepEqual(texts(before, snapshot()), []);
  }
  assert.deepEqual(texts(snapshot({ rollout: rollout({ state: 'Starting' }) }), snapshot({ deletion })), []);
});
