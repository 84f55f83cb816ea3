// A start from what lies elsewhere (rules 6 and 14): proven before anybody is fenced, copied, honoured once, resumed after a crash at every
// step. Exporting: savepoint-transfer/export-savepoint.test.ts. With real state and processes: command/savepoint.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../test/fakes/job-graphs.ts';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import { MemoryStorage } from '../../test/fakes/memory-storage.ts';
import { StoredLineage } from '../../test/fakes/stored-lineage.ts';
import { parseManifest } from '../core/checkpoint/manifest-format.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';

const otherUrl = 'memory:///other/default/job';

/** A harness whose job is new, and another lineage with one completed checkpoint. */
async function withOther(): Promise<{
  readonly harness: JobManagerHarness;
  readonly other: StoredLineage;
  readonly source: MemoryStorage;
  readonly url: string;
}> {
  const harness = new JobManagerHarness();
  const source = new MemoryStorage(otherUrl);
  harness.storageAt = (url) => ({ [otherUrl]: source })[url] ?? new MemoryFolder(source, url.slice(otherUrl.length + 1));
  const opening = StoredLineage.open(source, harness.clock);
  await harness.pass(10);
  const other = await opening;
  const completing = other.complete();
  await harness.pass(10);
  return { harness, other, source, url: other.urlOf(await completing) };
}

/** One folder of a storage, as the URL of a checkpoint names it. */
class MemoryFolder extends MemoryStorage {
  constructor(parent: MemoryStorage, folder: string) {
    super(`${parent.url}/${folder}`);
    for (const [path, bytes] of parent.objects) {
      if (path.startsWith(`${folder}/`)) {
        this.objects.set(path.slice(folder.length + 1), bytes);
      }
    }
  }
}

const restoreOf = (path: string) => ({ from: 'Path', path, token: 'fork' }) as const;

test('a checkpoint of another lineage is copied, becomes the head, and is not needed there any more', async () => {
  const { harness, source, url } = await withOther();
  const started = harness.start({ restore: restoreOf(url) });
  const taskManager = await started.running();
  await harness.pass(1_000);
  assert.equal(started.state, 'Running');
  assert.deepEqual(harness.types().slice(0, 2), ['Opened', 'Imported']);
  const { note, ...restored } = started.jobManager.status().restored ?? assert.fail();
  assert.deepEqual(restored, { source: 'Checkpoint', checkpointId: 2, path: url, reason: 'Requested' });
  assert.match(note ?? '', /what out had written .* stays the output of the job that took it/);
  const path = 'chk-000002-e1/_metadata';
  const manifest = parseManifest(harness.storage.objects.get(path) ?? assert.fail(), path);
  assert.equal(manifest.checkpointId, 2, 'above the id that it had');
  assert.deepEqual(manifest.operators.find(({ uid }) => uid === 'out')?.committables, []);
  const files = namedFiles(manifest);
  assert.equal(files.length, 4);
  for (const file of files) {
    assert.ok(harness.storage.objects.has(file.path), file.path);
    assert.match(file.path, /^(chk-000002-e1\/[0-9a-f]{64}|shared\/e1-[0-9a-f]{64}-a0-f0\.sst)$/);
  }
  const { operators } =
    taskManager.subtasks.find(({ task }) => task.vertexId === 'counts' && task.subtaskIndex === 0) ?? assert.fail();
  assert.equal(operators[0]?.keyedParts.length, 1);
  const entries = JSON.stringify(
    [...source.objects.keys()].filter((key) => key.startsWith('lineage/')).map((key) => source.text(key)),
  );
  assert.match(entries, /Pinned.*Unpinned/);
  assert.match(entries, /import to memory:\/\/\/lineage/);
});

test('later checkpoints subsume what was imported', async () => {
  const { harness, url } = await withOther();
  const started = harness.start({ restore: restoreOf(url) });
  await started.running();
  await harness.pass(200_000);
  assert.equal(harness.storage.paths('chk-000002-e1/').length, 0);
  assert.equal(started.state, 'Running');
});

test('the request is honoured once: a later start with the same words continues the job', async () => {
  const { harness, url } = await withOther();
  const first = harness.start({ restore: restoreOf(url) });
  await first.running();
  await harness.pass(25_000);
  const again = harness.start({ restore: restoreOf(url), podUid: 'pod-2' });
  await again.running('tm-2');
  const { restored } = again.jobManager.status();
  assert.equal(restored?.reason, 'Latest');
  assert.equal(restored?.path, 'chk-000004-e1');
  assert.match(restored?.note ?? '', /honoured before/);
  assert.equal(harness.types().filter((type) => type === 'Imported').length, 1);
});

test('what cannot be restored is refused before anybody is fenced, and leaves no pin', async () => {
  const { harness, other, source, url } = await withOther();
  const owner = harness.start();
  await owner.running();
  const refusedFor = async (restore: ReturnType<typeof restoreOf>, graph = harness.graph) => {
    const started = harness.start({ restore, attempt: { number: 2, token: 'attempt-2' }, podUid: 'pod-2' }, graph);
    await harness.pass(1_000);
    return started.outcome?.error?.code;
  };
  const graph = wordCountGraph({ keyed: { keyType: { type: 'int' } } });
  assert.notEqual(await refusedFor(restoreOf(url), graph), undefined, 'incompatible');
  const table = source.paths('shared/')[0] ?? assert.fail();
  const bytes = source.objects.get(table) ?? assert.fail();
  source.objects.delete(table);
  assert.equal(await refusedFor(restoreOf(url)), 'CheckpointDamaged');
  source.objects.set(table, bytes);
  assert.equal(await refusedFor(restoreOf(`${otherUrl}/chk-000009-e1`)), 'RestoreSourceNotFound');
  assert.equal(await refusedFor(restoreOf(otherUrl)), 'RestoreSourceNotFound');
  assert.deepEqual(harness.types().filter((type) => type === 'Opened').length, 1);
  assert.equal(owner.state, 'Running');
  const looking = other.log.checkHead();
  await harness.pass(1_000);
  assert.deepEqual((await looking).pins, []);
});

/** Each is where a JobManager dies: the n-th call of its kind never comes back. */
const steps: Readonly<
  Record<string, { readonly path: string; readonly operation: 'put' | 'get'; readonly of: 'Own' | 'Source' }>
> = {
  'before it has opened': { path: 'lineage/00000000000000000001', operation: 'put', of: 'Own' },
  'while it copies a table': { path: 'shared/', operation: 'put', of: 'Own' },
  'while it copies a part': { path: 'chk-000002-e1/', operation: 'put', of: 'Own' },
  'while it writes the manifest': { path: 'chk-000002-e1/_metadata', operation: 'put', of: 'Own' },
  'while it appends Imported': { path: 'lineage/00000000000000000002', operation: 'put', of: 'Own' },
  'while it unpins': { path: 'lineage/00000000000000000004', operation: 'put', of: 'Source' },
};

for (const [when, { path, operation, of }] of Object.entries(steps)) {
  for (const asked of ['the same request', 'nothing special']) {
    test(`a JobManager that dies ${when} is followed by one that is asked for ${asked} and starts from the import`, async () => {
      const { harness, other, source, url } = await withOther();
      const storage = of === 'Own' ? harness.storage : source;
      storage.hold(path, operation);
      const first = harness.start({ restore: restoreOf(url) });
      await harness.pass(1_000);
      first.jobManager.terminate();
      await harness.pass(1_000);
      if (when === 'before it has opened' && asked === 'nothing special') {
        return; // Nobody was ever asked for it.
      }
      const second = harness.start({
        ...{ restore: asked === 'nothing special' ? { from: 'Latest' } : restoreOf(url), podUid: 'pod-2' },
        attempt: { number: 2, token: 'attempt-2' },
      });
      await second.running();
      await harness.pass(1_000);
      assert.equal(second.state, 'Running', JSON.stringify(second.outcome));
      assert.equal(second.jobManager.status().restored?.source, 'Checkpoint');
      assert.equal(harness.types().filter((type) => type === 'Imported').length, 1);
      const latest = harness.storage.entries().findLast(({ type }) => type === 'Imported');
      assert.match(JSON.stringify(latest), /chk-000002-e[12]/);
      const looking = other.log.checkHead();
      await harness.pass(1_000);
      assert.deepEqual((await looking).pins, [], 'no pin is left');
    });
  }
}

test('a JobManager that is superseded while it imports writes nothing more and says that it was fenced', async () => {
  const { harness, source, url } = await withOther();
  const release = source.hold('shared/', 'get');
  const first = harness.start({ restore: restoreOf(url) });
  await harness.pass(1_000);
  const second = harness.start({ restore: restoreOf(url), podUid: 'pod-2' });
  await second.running();
  await harness.pass(5_000);
  release();
  await harness.pass(5_000);
  assert.equal(first.outcome?.state, 'Fenced');
  assert.equal(second.state, 'Running');
  assert.equal(harness.types().filter((type) => type === 'Imported').length, 1);
  assert.equal(harness.storage.paths('chk-000002-e1/_metadata').length, 0);
});

test('tables that a predecessor has copied are used where they are', async () => {
  const { harness, url } = await withOther();
  harness.storage.hold('chk-000002-e1/_metadata');
  harness.start({ restore: restoreOf(url) });
  await harness.pass(1_000);
  assert.equal(harness.storage.paths('shared/e1-').length, 2);
  const second = harness.start({ restore: restoreOf(url), podUid: 'pod-2' });
  await second.running();
  await harness.pass(1_000);
  assert.equal(second.state, 'Running');
  assert.equal(harness.storage.paths('shared/').length, 2);
  assert.equal(harness.storage.paths('chk-000002-e2/').length, 3, 'parts are in the folder of the checkpoint');
});

test('an import that is given up in words leaves no pin', async () => {
  const { harness, other, url } = await withOther();
  harness.storage.hold('chk-000002-e1/_metadata');
  harness.start({ restore: restoreOf(url) });
  await harness.pass(1_000);
  const second = harness.start({
    restore: { from: 'None', token: 'none' },
    podUid: 'pod-2',
    attempt: { number: 2, token: 'attempt-2' },
  });
  await second.running();
  await harness.pass(1_000);
  assert.equal(second.jobManager.status().restored?.reason, 'RequestedNone');
  const looking = other.log.checkHead();
  await harness.pass(1_000);
  assert.deepEqual((await looking).pins, []);
});

test('a source that does not answer is waited for, and the status says how far the copy is', async () => {
  const { harness, source, url } = await withOther();
  const release = source.hold('shared/', 'get');
  const started = harness.start({ restore: restoreOf(url) });
  const waiting = started.taskManager('tm-0');
  await harness.pass(1_000);
  assert.equal(started.state, 'Initializing');
  assert.ok(waiting.received.length > 0 && waiting.received.every(({ type }) => type === 'Heartbeat'), 'it is told to wait');
  const { importing } = started.jobManager.status();
  assert.deepEqual([importing?.url, importing?.copiedFiles, importing?.totalFiles], [url, 3, 4]);
  assert.ok(importing !== undefined && importing.copiedSizeBytes < importing.totalSizeBytes);
  release();
  await harness.pass(1_000);
  assert.ok(waiting.types().includes('Registered'));
  assert.equal(started.state, 'Running');
  assert.equal('importing' in started.jobManager.status(), false);
});

test('the URL of a checkpoint of the own lineage is no import', async () => {
  const { harness } = await withOther();
  const first = harness.start();
  await first.running();
  await harness.pass(25_000);
  const second = harness.start({
    restore: restoreOf('memory:///lineage/chk-000001-e1/'),
    podUid: 'pod-2',
    attempt: { number: 2, token: 'attempt-2' },
  });
  await second.running('tm-2');
  assert.equal(second.jobManager.status().restored?.path, 'chk-000001-e1');
  assert.equal(harness.types().includes('Imported'), false);
});
