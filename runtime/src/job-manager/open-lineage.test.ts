// What a JobManager asks of its lineage, from its configuration. Who may open it: core/lineage/open.test.ts; importing: import.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobManagerConfig } from '../../test/fakes/job-manager-harness.ts';
import { openRequest } from './open-lineage.ts';

const url = 'file:///checkpoints/default/word-count';

function requested(path: string): object {
  const { restore } = openRequest({ config: jobManagerConfig({ restore: { from: 'Path', path, token: 't' } }) }, url);
  return restore;
}

test('a savepoint of the own lineage may be named by its folder, with its _metadata, or by the whole URL that it was reported with', () => {
  const own = { from: 'Path', path: 'savepoints/000002-e1', token: 't' };
  assert.deepEqual(requested('savepoints/000002-e1'), own);
  assert.deepEqual(requested(`${url}/savepoints/000002-e1`), own);
  assert.deepEqual(requested(`${url}/savepoints/000002-e1/`), own);
  assert.deepEqual(requested('/checkpoints/default/word-count/savepoints/000002-e1/_metadata'), own);
});

test('any other URL or absolute path is imported from there', () => {
  const other = { from: 'Import', url: 'file:///checkpoints/default/word-count-2/savepoints/000002-e1', token: 't' };
  assert.deepEqual(requested(`${url}-2/savepoints/000002-e1`), other);
  assert.deepEqual(requested('/checkpoints/default/word-count-2/savepoints/000002-e1/'), other);
  assert.deepEqual(requested('s3://bucket/backup/_metadata'), { from: 'Import', url: 's3://bucket/backup', token: 't' });
});
