// Remedies in the words of `run`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inOptionsOfRun } from './in-options-of-run.ts';

test('fields of a FlinkJob become options of run; what has none stays', () => {
  const texts = {
    'Set spec.state.backend back to RocksDB; to change it, take a savepoint.':
      'Set --state-backend back to RocksDB; to change it, take a savepoint.',
    'or keep the state on disk with spec.state.backend: RocksDB.': 'or keep the state on disk with --state-backend RocksDB.',
    'Set maxParallelism back to 128; it cannot change.': 'Set --max-parallelism back to 128; it cannot change.',
    'start from another checkpoint with restore.from: Path;': 'start from another checkpoint with --restore;',
    'Raise spec.taskManager.resources.limits.memory or spec.job.parallelism.':
      'Raise spec.taskManager.resources.limits.memory or --parallelism.',
  };
  for (const [text, expected] of Object.entries(texts)) {
    assert.equal(inOptionsOfRun(text), expected);
  }
});
