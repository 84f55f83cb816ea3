// The janitor beside a JobManager that runs, and after one that is gone: what it proves, what it deletes, and what it leaves alone. The standing of each
// object is a pure decision, tested in core/lineage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { checkLineage, isSound, type LineageCheck } from './check-lineage.ts';
import { cleanLineage } from './clean-lineage.ts';
import { findLineages } from './find-lineages.ts';

const hash = 'ab'.repeat(32);
const options = { graceMs: 60_000, youngMs: 1, isUnattended: false };

const standings = ({ objects }: LineageCheck) =>
  Object.fromEntries(objects.filter(({ standing }) => standing !== 'Log').map(({ path, standing }) => [path, standing]));

/** Attempt 1 was killed at its third checkpoint, attempt 2 runs; leftovers of both lie there. */
async function scene() {
  const harness = new JobManagerHarness();
  const first = harness.start();
  await first.running();
  await harness.pass(31_000);
  first.jobManager.terminate();
  await harness.pass(1_000);
  const second = harness.start({ attempt: { number: 2, token: 'attempt-2' }, podUid: 'pod-2' });
  await second.running('tm-2');
  second.jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(1_000);
  for (const path of ['chk-000001-e1/counts', `shared/e1-${hash}.sst`, `shared/e2-${hash}.sst`, 'probe/1', 'README.txt']) {
    await harness.storage.putIfAbsent(path, new Uint8Array(10));
  }
  return { harness, second, ports: harness.ports() };
}

test('every object has a standing, and nothing that a living JobManager may yet name is called garbage', async () => {
  const { ports } = await scene();
  const check = await checkLineage(ports, await LineageLog.read(ports), options);
  assert.deepEqual(standings(check), {
    'README.txt': 'Unproven',
    'chk-000001-e1/_metadata': 'Condemned',
    'chk-000001-e1/counts': 'Garbage',
    'chk-000002-e1/_metadata': 'Referenced',
    'chk-000003-e1/_metadata': 'Referenced',
    'probe/1': 'Garbage',
    'savepoints/000004-e2/_metadata': 'Kept',
    [`shared/e1-${hash}.sst`]: 'Garbage',
    [`shared/e2-${hash}.sst`]: 'Open',
  });
  assert.equal(isSound(check), false);
});

test('garbage is condemned in the log and deleted after the grace period; the JobManager that runs goes on', async () => {
  const { harness, second, ports } = await scene();
  const log = await LineageLog.read(ports);
  const check = await checkLineage(ports, log, options);
  const before = second.jobManager.status().checkpointCounts.completed;
  const cleaning = cleanLineage(ports, log, { check, graceMs: options.graceMs });
  await harness.pass(59_000);
  assert.ok(harness.storage.paths('').includes('chk-000001-e1/counts'), 'condemned, and its grace period is not over');
  await harness.pass(10_000);
  const deleted = await cleaning;
  assert.ok(deleted.deletedCount >= 3, `${deleted.deletedCount} objects`);
  const after = await checkLineage(ports, log, options);
  assert.deepEqual(
    after.objects.filter(({ standing }) => standing === 'Garbage'),
    [],
  );
  assert.ok(harness.storage.paths('').includes(`shared/e2-${hash}.sst`), 'that is for its JobManager to decide');
  assert.equal(second.state, 'Running');
  assert.ok(second.jobManager.status().checkpointCounts.completed > before);
  assert.ok(harness.storage.entries().some(({ type, epoch }) => type === 'Condemned' && epoch === 2));
});

test('when somebody vouches that nothing runs, files of the last epoch go too; the next start goes on from the head', async () => {
  const { harness, second, ports } = await scene();
  second.jobManager.terminate();
  await harness.pass(1_000);
  const log = await LineageLog.read(ports);
  const check = await checkLineage(ports, log, { ...options, isUnattended: true });
  assert.equal(standings(check)[`shared/e2-${hash}.sst`], 'Garbage');
  const cleaning = cleanLineage(ports, log, { check, graceMs: options.graceMs });
  await harness.pass(61_000);
  await cleaning;
  const third = harness.start({ attempt: { number: 3, token: 'attempt-3' }, podUid: 'pod-3' });
  await third.running('tm-3');
  assert.equal(third.jobManager.status().restored?.path, 'savepoints/000004-e2');
});

test('a manifest that cannot be read leaves everything unproven, and nothing is deleted', async () => {
  const { harness, ports } = await scene();
  await harness.storage.delete(['chk-000003-e1/_metadata']);
  const log = await LineageLog.read(ports);
  const checking = checkLineage(ports, log, options);
  await harness.pass(10_000);
  const check = await checking;
  assert.deepEqual(
    check.unreadable.map(({ path }) => path),
    ['chk-000003-e1/_metadata'],
  );
  assert.equal(standings(check)['chk-000001-e1/counts'], 'Unproven');
  assert.equal(isSound(check), false);
});

test('lineages are found at the root and below it, with what lies outside of them', async () => {
  const { harness } = await scene();
  assert.deepEqual(await findLineages(harness.storage), { folders: [''], strays: [] });
  const root = new JobManagerHarness().storage;
  const entry = 'lineage/00000000000000000001.json';
  for (const path of [`a/x/${entry}`, `a/x/chk-000001-e1/_metadata`, `b/y/${entry}`, 'b/notes.txt', 'c']) {
    await root.putIfAbsent(path, new Uint8Array(1));
  }
  const found = await findLineages(root);
  assert.deepEqual(found.folders, ['a/x/', 'b/y/']);
  assert.deepEqual(
    found.strays.map(({ path }) => path),
    ['b/notes.txt', 'c'],
  );
});
