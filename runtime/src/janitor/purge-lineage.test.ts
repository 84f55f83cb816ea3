// Purging a lineage, from its first step to its last: what goes, what stays, who is fenced, and what the next start finds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import type { JobError } from '../core/job-error.ts';
import { entryPath } from '../core/lineage/object-paths.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { type Purged, purgeLineage } from './purge-lineage.ts';

const request = {
  ...{ owner: 'test/default/word-count', adoptFrom: undefined, operationId: 'uid/delete', graceMs: 1_000 },
  attemptNumber: 3,
};

/** A job that has run for half a minute under attempt 1, with a savepoint. */
async function scene() {
  const harness = new JobManagerHarness();
  const first = harness.start();
  await first.running();
  await harness.pass(25_000);
  first.jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(6_000);
  let processCount = 0;
  const purge = async (overrides: Partial<typeof request> = {}): Promise<Purged | JobError> => {
    processCount += 1;
    const purging = purgeLineage(harness.ports(), { ...request, ...overrides, processUid: `purge-${processCount}` }).catch(
      (error: JobError) => error,
    );
    await harness.pass(20_000);
    return await purging;
  };
  return { harness, first, purge };
}

test('everything goes but one entry, and the next start is empty and goes on with higher numbers, epochs and ids', async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  await harness.storage.putIfAbsent('notes.txt', new Uint8Array(1));
  const before = (await LineageLog.read(harness.ports())).view;
  const purged = await purge();
  assert.ok('strangers' in purged);
  assert.deepEqual(purged.strangers, ['notes.txt']);
  const entries = harness.storage.entries();
  assert.deepEqual(
    entries.map(({ type }) => type),
    ['Purged'],
  );
  assert.deepEqual(
    harness.storage.paths('').filter((path) => !path.startsWith('lineage/')),
    ['notes.txt'],
  );
  const { view } = await LineageLog.read(harness.ports());
  assert.ok(view.headNumber > before.headNumber && view.epoch === before.epoch + 1);
  const refused = harness.start({ podUid: 'pod-2' });
  await harness.pass(1_000);
  assert.equal(refused.outcome?.error?.code, 'AttemptSuperseded');
  const second = harness.start({ attempt: { number: 4, token: 'attempt-4' }, podUid: 'pod-4' });
  await second.running('tm-2');
  await harness.pass(11_000);
  const { restored, epoch, lastCheckpoint } = second.jobManager.status();
  assert.deepEqual([restored?.source, restored?.reason], ['Nothing', 'Empty']);
  assert.equal(epoch, before.epoch + 2);
  assert.equal(lastCheckpoint?.id, before.nextCheckpointId);
});

test('a JobManager that still runs is fenced before anything is condemned', async () => {
  const { harness, first, purge } = await scene();
  const purged = await purge();
  assert.ok('strangers' in purged);
  assert.equal(first.outcome?.state, 'Fenced');
  assert.deepEqual(harness.types(), ['Purged']);
});

test('a JobManager that slept through the whole purge is fenced by what is left of it', async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  const sleeper = await LineageLog.read(harness.ports());
  await sleeper.open({
    ...{ owner: request.owner, adoptFrom: undefined, attempt: { number: 2, token: 'b' }, podUid: 'sleeper', revision: 'r1' },
    restore: { from: 'Latest' },
  });
  await purge();
  await assert.rejects(sleeper.append({ type: 'StopAborted', operationId: 'x', reason: 'y' }), { code: 'Fenced' });
});

for (const step of ['Opened', 'Condemned', 'delete', 'Purged'] as const) {
  test(`a purge that was interrupted at ${step} is carried on by the next try`, async () => {
    const { harness, first, purge } = await scene();
    first.jobManager.terminate();
    await harness.pass(1_000);
    const { headNumber } = (await LineageLog.read(harness.ports())).view;
    const offset = { Opened: 1, Condemned: 2, Purged: 3 };
    harness.storage.faults =
      step === 'delete'
        ? [{ operation: 'delete', path: 'savepoints/', outcome: 'NotApplied', retryable: false, once: true }]
        : [{ operation: 'put', path: entryPath(headNumber + offset[step]), outcome: 'NotApplied', retryable: false, once: true }];
    assert.ok((await purge()) instanceof Error);
    const purged = await purge();
    assert.ok('strangers' in purged);
    assert.deepEqual(harness.types(), ['Purged']);
    assert.deepEqual(await purge(), { deletedCount: 0, deletedSizeBytes: 0, strangers: [] }, 'and once more does nothing');
  });
}

test('a start in the middle of a purge starts empty and fences the purge', async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  harness.storage.faults = [{ operation: 'delete', path: 'savepoints/', outcome: 'NotApplied', retryable: false, once: true }];
  await purge();
  const second = harness.start({ attempt: { number: 4, token: 'attempt-4' }, podUid: 'pod-4' });
  await second.running('tm-2');
  assert.deepEqual(second.jobManager.status().restored?.source, 'Nothing');
  assert.equal(second.state, 'Running');
});

test('a purge that slept until another job had begun leaves that alone', async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  await purge();
  const second = harness.start({ attempt: { number: 4, token: 'attempt-4' }, podUid: 'pod-4' });
  await second.running('tm-2');
  await harness.pass(11_000);
  const before = harness.storage.paths('');
  const late = await purge();
  assert.ok(late instanceof Error);
  assert.equal(late.code, 'AttemptSuperseded');
  assert.ok(before.every((path) => harness.storage.paths('').includes(path)));
  assert.equal(second.state, 'Running');
});

test('a stop that was begun is given up first', async () => {
  const { harness, first, purge } = await scene();
  const taskManager = await first.running('tm-9');
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  first.jobManager.requestStop({ operationId: 'stop', deadlineSeconds: 600 });
  await harness.pass(1_000);
  first.jobManager.terminate();
  await harness.pass(1_000);
  assert.ok('strangers' in (await purge()));
  assert.deepEqual(harness.types(), ['Purged']);
});

test("somebody else's lineage, and one that a fork has pinned, are refused and keep everything", async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  const before = harness.storage.paths('');
  const stranger = await purge({ owner: 'other/default/word-count' });
  assert.ok(stranger instanceof Error);
  assert.equal(stranger.code, 'LineageOwnedByAnother');
  assert.deepEqual(harness.storage.paths(''), before);
  const log = await LineageLog.read(harness.ports());
  const checkpoint = log.view.latest?.manifest.path ?? '';
  await log.annotate(() => ({ type: 'Pinned', pinId: 'p', checkpoint, for: 'a fork' }));
  const pinned = await purge();
  assert.ok(pinned instanceof Error);
  assert.equal(pinned.code, 'LineagePinned');
  assert.equal(harness.storage.paths('').length, before.length + 1);
});

test('where nothing ever ran nothing is written', async () => {
  const harness = new JobManagerHarness();
  const purged = await purgeLineage(harness.ports(), { ...request, processUid: 'p' });
  assert.deepEqual(purged, { deletedCount: 0, deletedSizeBytes: 0, strangers: [] });
  assert.deepEqual(harness.storage.paths(''), []);
});

test('what a late try of a write brings back under a name that was condemned already goes too', async () => {
  const { harness, first, purge } = await scene();
  first.jobManager.terminate();
  await harness.pass(1_000);
  const { storage } = harness;
  const remove = storage.delete.bind(storage);
  let isFirst = true;
  storage.delete = async (paths) => {
    await remove(paths);
    const [name] = paths;
    if (isFirst && name !== undefined) {
      isFirst = false;
      await storage.putIfAbsent(name, new Uint8Array(1));
    }
  };
  assert.ok('strangers' in (await purge()));
  assert.deepEqual(
    storage.paths('').filter((path) => !path.startsWith('lineage/')),
    [],
  );
});
