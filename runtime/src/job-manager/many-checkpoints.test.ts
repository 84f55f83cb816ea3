// A JobManager over ten thousand checkpoints with a restart in the middle: what it holds, what it lists and reads, and what lies in the storage stays
// the same, however long it lives. Real processes do the same in `npm run bench -- many-checkpoints`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness, type StartedJobManager } from '../../test/fakes/job-manager-harness.ts';
import { entryCountBetweenRenewals, entryCountKept } from '../core/lineage/housekeeping.ts';
import { LineageLog } from './lineage-log.ts';

const intervalMs = 1_000;
const retain = 2;
const graceMs = 60_000;
/** A `Completed` and a `Condemned` for each checkpoint. */
const entriesPerCheckpoint = 2;
/** Between two renewals the log grows, and what is condemned holds its beginning back for its grace period. */
const entryCountMax = entryCountBetweenRenewals + entryCountKept + entriesPerCheckpoint * (graceMs / intervalMs + 40);
/** Checkpoints that wait for their grace period, those that are retained, and the round of housekeeping in which they go. */
const checkpointCountMax = graceMs / intervalMs + retain + 40;

/** What the calls of the storage cost, as S3 counts: a request for each thousand objects that are listed, and for each that is read. */
function count(harness: JobManagerHarness): { lists: number; read: number } {
  const costs = { lists: 0, read: 0 };
  const { storage } = harness;
  const { list, get } = storage;
  storage.list = async (...args) => {
    const objects = await list.apply(storage, args);
    costs.lists += Math.max(1, Math.ceil(objects.length / 1_000));
    return objects;
  };
  storage.get = async (path) => {
    costs.read += 1;
    return await get.call(storage, path);
  };
  return costs;
}

async function run(harness: JobManagerHarness, started: StartedJobManager, checkpoints: number): Promise<void> {
  const before = started.jobManager.status().checkpointCounts.completed;
  while (started.jobManager.status().checkpointCounts.completed < before + checkpoints) {
    await harness.pass(100 * intervalMs);
    const entries = harness.storage.paths('lineage/').length;
    const manifests = harness.storage.paths('chk-').length;
    assert.ok(entries <= entryCountMax, `${entries} entries`);
    assert.ok(manifests <= checkpointCountMax, `${manifests} checkpoints`);
  }
  assert.equal(started.jobManager.status().checkpointCounts.failed, 0);
}

test('ten thousand checkpoints, a restart in the middle: nothing grows, and each costs the storage the same', {
  timeout: 120_000,
}, async () => {
  const harness = new JobManagerHarness();
  const checkpoints = { intervalSeconds: intervalMs / 1000, retain, deleteGraceSeconds: graceMs / 1000 };
  const first = harness.start({ checkpoints });
  await first.running();
  await run(harness, first, 1_000);
  const costs = count(harness);
  await run(harness, first, 4_000);
  const perCheckpoint = { lists: costs.lists / 4_000, read: costs.read / 4_000 };
  first.jobManager.terminate();
  await harness.pass(1_000);

  costs.read = 0;
  const second = harness.start({ checkpoints, attempt: { number: 2, token: 'attempt-2' }, podUid: 'pod-2' });
  await second.running('tm-2');
  assert.ok(costs.read <= entryCountMax + 50, `a start reads ${costs.read} objects`);
  assert.equal(second.jobManager.status().restored?.source, 'Checkpoint');
  costs.lists = 0;
  costs.read = 0;
  await run(harness, second, 5_000);
  // Two looks above the head after an append, one of every few seconds, and now and then a sweep or a trimming.
  const lists = costs.lists / 5_000;
  assert.ok(perCheckpoint.lists <= 4 && lists <= 4, `${perCheckpoint.lists}, then ${lists} lists`);
  assert.ok(perCheckpoint.read < 5 && costs.read / 5_000 < 5, `${perCheckpoint.read}, ${costs.read / 5_000} objects read`);
  assert.ok(second.jobManager.history.checkpoints.length <= 100);

  second.jobManager.terminate();
  await harness.pass(1_000);
  const { view, entries } = await LineageLog.read(harness.ports());
  assert.ok(view.nextCheckpointId > 10_000);
  assert.ok(entries.length <= entryCountMax && view.condemnations.length <= entryCountMax);
  assert.equal(view.checkpoints.length, retain);
});
