// Covers a deletion that no controller carries out. That processes end is covered by tests on real ones.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import { finalizer } from '../../api/labels.ts';
import { openLocalStore } from '../../local-operator.ts';
import { parseCommandLine } from '../command-line.ts';
import { findController, workDirectoryOf } from '../work-directory.ts';
import { deleteCommand } from './delete.ts';

const key = { namespace: 'default', name: 'words' };

/** A work directory with one job in it, as a controller that was killed leaves it. */
async function leftBehind(context: TestContext) {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-delete-'));
  context.after(() => rm(directory, { recursive: true }));
  const store = openLocalStore(directory);
  const flinkJob = await store.apply({
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: key,
    spec: FlinkJobSpec.parse({ job: { module: '/jobs/words.ts' }, state: { checkpointStorage: 'file:///c' } }),
  });
  await store.updateFinalizers(flinkJob, [finalizer]);
  const run = async (...args: readonly string[]) => {
    const reported: string[] = [];
    const parsed = parseCommandLine(deleteCommand.description, ['words', '--work-dir', directory, ...args]);
    const code = await deleteCommand.run(parsed, { print: () => undefined, report: (line) => reported.push(line) });
    return { code, reported, holder: await findController(workDirectoryOf(parsed)) };
  };
  return { store, run };
}

test('where no controller runs, delete carries the deletion out itself and gives the work directory free', async (context) => {
  const { store, run } = await leftBehind(context);
  const { code, reported, holder } = await run();
  assert.deepEqual([code, reported], [0, ['default/words is deleted. Its state in checkpoint storage stays.']]);
  assert.deepEqual([await store.get(key), holder], [undefined, undefined]);
});

test('with --no-wait the deletion is left to the next controller', async (context) => {
  const { store, run } = await leftBehind(context);
  const { code, reported } = await run('--no-wait');
  assert.equal(code, 0);
  assert.match(reported.join(), /marked for deletion\. The next controller/);
  assert((await store.get(key))?.metadata.deletionTimestamp !== undefined);
});
