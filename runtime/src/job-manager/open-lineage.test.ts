// What a JobManager asks of the lineage. Opening itself is covered beside `LineageLog` and `JobManager`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRequest } from './open-lineage.ts';

function restorePath(path: string): string | undefined {
  const lineage = { checkpointStorage: 'memory:///', clusterId: 'test', namespace: 'default', name: 'word-count' };
  const config = { lineage, attempt: { number: 1, token: 'a' }, podUid: 'pod-1', revision: 'r1' };
  const { restore } = openRequest({ config: { ...config, restore: { from: 'Path', path, token: 't' } } }, 'memory:///word-count');
  return restore.from === 'Path' ? restore.path : undefined;
}

test('a path may be given as the whole URL that savepoints are reported with, or as the folder alone', () => {
  assert.equal(restorePath('memory:///word-count/savepoints/000001-e1'), 'savepoints/000001-e1');
  assert.equal(restorePath('savepoints/000001-e1'), 'savepoints/000001-e1');
});

test('a path in another lineage stays as it is, so that it is not found', () => {
  assert.equal(restorePath('memory:///word-count-2/savepoints/000001-e1'), 'memory:///word-count-2/savepoints/000001-e1');
});
