import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlinkJobStatus, initialStatus, type PastRollout, type Rollout } from '../api/flink-job-status.ts';
import { transitionEvents } from './transition-events.ts';

const time = '2026-01-01T00:00:00.000Z';
const rollout: Rollout = {
  ...{ id: 1, reason: 'Upgrade', state: 'PreFlight', revision: 'b', generation: 2, try: 1, restoreFrom: 'Latest' },
  ...{ startedTime: time, stateTime: time },
};
const attempt = { number: 5, token: 'token', startedTime: time, taskManagers: 1, instance: 1, restoreFrom: 'Latest' as const };
const problem = { code: 'StateNotReadable', message: 'state "counts" is not readable', remedy: 'Keep its type' };
const running: FlinkJobStatus = { ...initialStatus, revision: 'a', attempt, state: 'Running' };

function past(outcome: PastRollout['outcome']): PastRollout {
  return { id: 1, reason: 'Upgrade', revision: 'b', outcome, startedTime: time, endedTime: time };
}

function reasons(before: FlinkJobStatus, after: FlinkJobStatus): readonly string[] {
  return transitionEvents(before, after).map(({ type, reason }) => `${type} ${reason}`);
}

test('each state of a rollout is told once, and its end with what runs now', () => {
  const preFlight = { ...running, rollout };
  assert.deepEqual(reasons(running, preFlight), ['Normal PreFlight']);
  assert.deepEqual(reasons(preFlight, { ...preFlight, rollout: { ...rollout, operationId: 'id' } }), []);
  const stopping: FlinkJobStatus = { ...running, rollout: { ...rollout, state: 'Stopping', stopMode: 'Savepoint' } };
  assert.deepEqual(
    transitionEvents(preFlight, stopping).map(({ note }) => note),
    ['stopping revision a with a savepoint'],
  );
  const starting: FlinkJobStatus = { ...running, rollout: { ...rollout, state: 'Starting' }, attempt: { ...attempt, number: 6 } };
  assert.deepEqual(
    transitionEvents(stopping, starting).map(({ action, note }) => [action, note]),
    [['Upgrade', 'starting revision b, attempt 6']],
  );
  const stabilizing: FlinkJobStatus = { ...starting, revision: 'b', rollout: { ...rollout, state: 'Stabilizing' } };
  assert.deepEqual(reasons(starting, stabilizing), ['Normal Stabilizing']);
  const { rollout: _done, ...rest } = stabilizing;
  const after = { ...rest, history: [past('Completed')], restored: 'continued from savepoint-7 (the newest)' };
  assert.deepEqual(
    transitionEvents(stabilizing, after).map(({ note }) => note),
    ['revision b is stable as attempt 6: continued from savepoint-7 (the newest)'],
  );
});

test('a rollout that gives way is told before the one that follows it', () => {
  const before: FlinkJobStatus = { ...running, rollout: { ...rollout, state: 'Stabilizing' } };
  const next: Rollout = { ...rollout, id: 2, reason: 'Rollback', revision: 'a' };
  const rolledBack = { ...running, rollout: next, history: [{ ...past('RolledBack'), problem }] };
  assert.deepEqual(
    transitionEvents(before, rolledBack).map(({ type, reason, note }) => [type, reason, note]),
    [
      ['Warning', 'RolledBack', 'revision b was not stable: state "counts" is not readable. Keep its type'],
      ['Normal', 'PreFlight', 'proving that revision a can start, before anything is touched'],
    ],
  );
  const superseded = { ...running, rollout: { ...next, reason: 'Upgrade' as const }, history: [past('Superseded')] };
  assert.deepEqual(reasons(before, superseded), ['Normal Superseded', 'Normal PreFlight']);
});

test('a problem is told where it belongs, and not a second time as the error of the FlinkJob', () => {
  const blocked: FlinkJobStatus = { ...running, rollout: { ...rollout, state: 'Blocked', problem }, error: problem };
  assert.deepEqual(transitionEvents({ ...running, rollout }, blocked), [
    {
      type: 'Warning',
      reason: 'RolloutBlocked',
      action: 'Upgrade',
      note: 'revision b cannot start: state "counts" is not readable. Keep its type',
    },
  ]);
  const failed: FlinkJobStatus = { ...running, ended: { state: 'Failed', time, generation: 1, problem }, error: problem };
  assert.deepEqual(reasons(running, failed), ['Warning JobFailed']);
  assert.deepEqual(reasons(running, { ...running, error: problem }), ['Warning StateNotReadable']);
  assert.deepEqual(reasons({ ...running, error: problem }, { ...running, error: problem }), []);
  assert.deepEqual(reasons({ ...running, error: problem }, running), []);
});

test('that checkpoints fail, are late and are well again is told once each', () => {
  const withCondition = (status: 'True' | 'False' | 'Unknown', reason: string): FlinkJobStatus => ({
    ...running,
    conditions: [
      {
        ...{ type: 'CheckpointFresh', status, reason, message: `${reason}, in words`, lastTransitionTime: time },
        observedGeneration: 1,
      },
    ],
  });
  const fresh = withCondition('True', 'CheckpointFresh');
  const failed = withCondition('True', 'CheckpointFailed');
  const stale = withCondition('False', 'CheckpointStale');
  const notRunning = withCondition('Unknown', 'NotRunning');
  assert.deepEqual(transitionEvents(fresh, failed), [
    { type: 'Warning', reason: 'CheckpointFailed', action: 'Checkpoint', note: 'CheckpointFailed, in words' },
  ]);
  assert.deepEqual(reasons(failed, failed), []);
  assert.deepEqual(reasons(failed, stale), ['Warning CheckpointStale']);
  assert.deepEqual(reasons(stale, fresh), ['Normal CheckpointFresh']);
  assert.deepEqual(reasons(stale, notRunning), []);
  assert.deepEqual(reasons(notRunning, fresh), []);
});

test('recovery, suspension and deletion are told', () => {
  assert.deepEqual(reasons(running, { ...running, attempt: { ...attempt, instance: 2 } }), ['Warning JobManagerReplaced']);
  assert.deepEqual(reasons(running, { ...running, restarts: 2 }), ['Warning JobRestarted']);
  assert.deepEqual(reasons({ ...running, restarts: 2 }, { ...running, attempt: { ...attempt, number: 6 }, restarts: 0 }), []);
  const suspended: FlinkJobStatus = { ...running, ended: { state: 'Suspended', time, generation: 2, checkpointId: 7 } };
  assert.deepEqual(
    transitionEvents({ ...running, rollout: { ...rollout, reason: 'Suspend', state: 'Stopping' } }, suspended).map(
      ({ note }) => note,
    ),
    ['the job is suspended; its last checkpoint is 7'],
  );
  const deletion = { deadlineTime: time, operationId: 'delete' };
  assert.deepEqual(reasons(running, { ...running, deletion }), ['Normal Deleting']);
  const purge = { try: 1, deadlineTime: time, problem };
  assert.deepEqual(reasons({ ...running, deletion }, { ...running, deletion: { ...deletion, purge } }), ['Warning PurgeFailed']);
});
