// What is kept of checkpoints and exceptions, and that it is bounded. How it is shown is tested with REST.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckpointRecord, JobHistory } from './job-history.ts';

function record(id: number, overrides: Partial<CheckpointRecord> = {}): CheckpointRecord {
  const part = { task: { vertexId: 'counts', subtaskIndex: 0 }, acknowledgedAtMs: id, stateSizeBytes: id, deltaSizeBytes: 1 };
  return {
    ...{ id, kind: 'Checkpoint', state: 'Completed', triggeredAtMs: 0, endedAtMs: id, path: `chk-${id}`, error: undefined },
    ...{ stateSizeBytes: id, deltaSizeBytes: 1, uploadedSizeBytes: 1, acknowledgedSubtasks: 1, subtasks: 1 },
    details: () => [{ ...part, uploadedSizeBytes: 1, syncDurationMs: 1, asyncDurationMs: 1, alignmentDurationMs: 1 }],
    ...overrides,
  };
}

test('the last fifty checkpoints are kept, ten of them with what each subtask said, and the latest of each kind for good', () => {
  const history = new JobHistory();
  history.recordCheckpoint(record(1, { kind: 'Savepoint' }));
  history.recordCheckpoint(record(2, { state: 'Failed' }));
  for (let id = 3; id <= 100; id++) {
    history.recordCheckpoint(record(id));
  }
  assert.deepEqual([history.checkpoints.length, history.checkpoints[0]?.id], [50, 51]);
  assert.deepEqual(
    history.checkpoints.flatMap(({ id, details }) => (details().length > 0 ? [id] : [])),
    [91, 92, 93, 94, 95, 96, 97, 98, 99, 100],
  );
  const { completed, savepoint, failed } = history.latest;
  assert.deepEqual([completed?.id, savepoint?.id, failed?.id], [100, 1, 2]);
});

test('a checkpoint that goes on replaces what was said of it', () => {
  const history = new JobHistory();
  history.recordCheckpoint(record(1, { state: 'InProgress', endedAtMs: undefined }));
  assert.equal(history.completedSizes.length, 0);
  history.recordCheckpoint(record(1));
  assert.deepEqual([history.checkpoints.length, history.completedSizes.length], [1, 1]);
});

test('statistics are of the last thousand completed checkpoints', () => {
  const history = new JobHistory();
  for (let id = 1; id <= 1500; id++) {
    history.recordCheckpoint(record(id));
  }
  const durations = history.completedSizes.map(({ durationMs }) => durationMs);
  assert.deepEqual([durations.length, Math.min(...durations), Math.max(...durations)], [1000, 501, 1500]);
});

test('the last fifty exceptions are kept', () => {
  const history = new JobHistory();
  const error = { code: 'X', message: 'm', domain: 'user', retry: 'never' } as const;
  for (let atMs = 1; atMs <= 60; atMs++) {
    history.recordException({ atMs, error, task: undefined, taskManagerId: undefined, executionAttempt: 1 });
  }
  assert.deepEqual([history.exceptions.length, history.exceptions[0]?.atMs], [50, 11]);
});
