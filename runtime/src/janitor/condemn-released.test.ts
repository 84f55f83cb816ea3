// Savepoints that were released while no JobManager condemns them: what goes when the lineage is closed, and what has to stay when it is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { checkLineage } from './check-lineage.ts';
import { condemnReleased } from './condemn-released.ts';

const options = { graceMs: 60_000, youngMs: 900_000, isUnattended: false };

/** A savepoint was taken, then a checkpoint, and the JobManager was killed. */
async function scene() {
  const harness = new JobManagerHarness();
  const run = harness.start();
  await run.running();
  const { jobManager } = run;
  jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(1_000);
  await harness.pass(31_000);
  jobManager.terminate();
  await harness.pass(1_000);
  const log = await LineageLog.read(harness.ports());
  const savepoint = log.view.checkpoints.find(({ kind }) => kind === 'Savepoint');
  assert.ok(savepoint !== undefined);
  return { harness, log, savepoint: savepoint.manifest.path };
}

async function condemned({
  harness,
  log,
}: Pick<Awaited<ReturnType<typeof scene>>, 'harness' | 'log'>): Promise<readonly string[]> {
  const check = await checkLineage(harness.ports(), log, options);
  const before = log.view.condemnations.length;
  await condemnReleased(log, { check, isUnattended: false });
  return log.view.condemnations.slice(before).flatMap(({ names }) => names);
}

test('a savepoint that nobody released is not condemned', async () => {
  assert.deepEqual(await condemned(await scene()), []);
});

test('of a lineage that is not closed only the own folder of a released savepoint goes', async () => {
  const { harness, log, savepoint } = await scene();
  await log.annotate(() => ({ type: 'SavepointReleased', savepoint }));
  const names = await condemned({ harness, log });
  const folder = savepoint.slice(0, savepoint.lastIndexOf('/') + 1);
  assert.ok(names.includes(savepoint), names.join());
  assert.deepEqual(
    names.filter((name) => !name.startsWith(folder)),
    [],
  );
  assert.deepEqual(await condemned({ harness, log }), [], 'once');
});

test('what is pinned stays although it is released', async () => {
  const { harness, log, savepoint } = await scene();
  await log.annotate(() => ({ type: 'Pinned', pinId: 'copy', checkpoint: savepoint, for: 'a copy' }));
  await log.annotate(() => ({ type: 'SavepointReleased', savepoint }));
  assert.deepEqual(await condemned({ harness, log }), []);
});

test('the head stays although it is released', async () => {
  const harness = new JobManagerHarness();
  const run = harness.start();
  await run.running();
  const { jobManager } = run;
  jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(1_000);
  jobManager.terminate();
  await harness.pass(1_000);
  const log = await LineageLog.read(harness.ports());
  const { latest } = log.view;
  assert.equal(latest?.kind, 'Savepoint');
  await log.annotate(() => ({ type: 'SavepointReleased', savepoint: latest?.manifest.path ?? '' }));
  assert.deepEqual(await condemned({ harness, log }), []);
});
