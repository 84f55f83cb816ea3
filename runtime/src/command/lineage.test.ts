// What `lineage DIR` says of whole, stopped, trimmed and broken directories, on the local medium.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LineageBuilder } from '../../test/fakes/lineage-builder.ts';
import { LocalStorage } from '../checkpoint-storage/local/local-storage.ts';
import { encodeEntry } from '../core/lineage/entries.ts';
import { entryPath } from '../core/lineage/object-paths.ts';
import { formatLineage, lineageCommand } from './lineage.ts';
import { reportLineage } from './lineage-report.ts';

const folders: string[] = [];
after(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
});

async function stored(log: LineageBuilder): Promise<{ readonly folder: string; readonly storage: LocalStorage }> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-lineage-'));
  folders.push(folder);
  const storage = new LocalStorage(folder);
  for (const entry of log.entries) {
    await storage.putIfAbsent(entryPath(entry.number), encodeEntry(entry));
  }
  for (const { manifest } of log.view.checkpoints) {
    await storage.putIfAbsent(manifest.path, new Uint8Array(manifest.sizeBytes));
    await storage.putIfAbsent(manifest.path.replace('_metadata', 'state'), new Uint8Array(90));
  }
  return { folder, storage };
}

const running = (): LineageBuilder =>
  new LineageBuilder().open().complete(1).complete(2, { kind: 'Savepoint', operationId: 'save' }).complete(3);

test('a whole lineage shows its head, what a start restores, and its checkpoints with their sizes', async () => {
  const { storage, folder } = await stored(running());
  const before = await readdir(folder, { recursive: true });
  const report = await reportLineage(storage, 5_000);
  assert.deepEqual(report.start, { path: 'chk-000003-e1', mode: 'Run', note: undefined });
  assert.equal(report.head?.number, 4);
  assert.deepEqual(
    report.checkpoints.map(({ path, kind, isHead, stateSizeBytes, folderSizeBytes }) => [
      path,
      kind,
      isHead,
      stateSizeBytes,
      folderSizeBytes,
    ]),
    [
      ['chk-000001-e1', 'Checkpoint', false, 100, 100],
      ['savepoints/000002-e1', 'Savepoint', false, 100, 100],
      ['chk-000003-e1', 'Checkpoint', true, 100, 100],
    ],
  );
  const text = formatLineage(report);
  assert.match(text, /A start would run from chk-000003-e1\./);
  assert.match(text, /savepoints\/000002-e1 +Savepoint +\S+ \S+ +100 B +100 B\n/);
  assert.match(text, /4 +1970-01-01 00:00:01 +1 +Completed +chk-000003-e1, 100 B/);
  assert.deepEqual(await readdir(folder, { recursive: true }), before, 'reading changes nothing');
});

test('a stop under way, and a closed lineage, are told', async () => {
  const stopping = running().append({ type: 'Stopping', operationId: 'stop-1', deadlineMs: 60_000 });
  const report = await reportLineage((await stored(stopping)).storage, 5_000);
  assert.deepEqual(report.start, { path: 'chk-000003-e1', mode: 'FinishStop', note: undefined });
  assert.match(formatLineage(report), /Stopping: operation stop-1, until 1970-01-01 00:01:00/);
  const closed = stopping.append({ type: 'Closed', reason: 'StoppedWithSavepoint', checkpointId: 3, operationId: 'stop-1' });
  const text = formatLineage(await reportLineage((await stored(closed)).storage, 5_000));
  assert.match(text, /Closed: StoppedWithSavepoint with checkpoint 3/);
  assert.match(text, /A start would run from chk-000003-e1/);
});

test('entries that are not part of the log are called garbage', async () => {
  const log = running().append({ type: 'Unpinned', pinId: 'x' }, { oldestNumber: 1 }).open({ podUid: 'pod-2' });
  log.append({ type: 'Unpinned', pinId: 'y' }, { oldestNumber: 6 });
  const { storage } = await stored(log);
  await storage.delete([entryPath(2), entryPath(3)]);
  const report = await reportLineage(storage, 5_000);
  assert.deepEqual(report.garbageIslands, [
    { first: 1, last: 1 },
    { first: 4, last: 5 },
  ]);
  assert.deepEqual(report.corruptEntries, []);
  assert.deepEqual(report.start, { path: 'chk-000003-e1', mode: 'Run', note: undefined });
  assert.match(formatLineage(report), /Entry 1 is garbage.*\nEntries 4 to 5 are garbage/);
});

test('corrupt entries, strange names and missing manifests are named, and nothing is promised about a start', async () => {
  const { storage, folder } = await stored(running());
  await truncate(join(folder, entryPath(3)), 30);
  await writeFile(join(folder, 'lineage', 'notes.txt'), 'x');
  const report = await reportLineage(storage, 5_000);
  assert.equal(report.start, undefined);
  assert.deepEqual(
    report.corruptEntries.map(({ path }) => path),
    [entryPath(3), 'lineage/notes.txt'],
  );
  const text = formatLineage(report);
  assert.match(text, /A start would be refused: the log has corrupt entries/);
  assert.match(text, /CORRUPT lineage entry lineage\/00000000000000000003\.json is corrupt: is not JSON/);
  assert.match(text, /CORRUPT lineage\/notes\.txt: this is no name of an entry/);

  const whole = await stored(running());
  await truncate(join(whole.folder, 'chk-000003-e1/_metadata'), 3);
  assert.match(formatLineage(await reportLineage(whole.storage, 5_000)), /chk-000003-e1 .*head, MANIFEST MISSING OR CUT/);
});

test('the command exits with 0 for a whole lineage and 1 for a corrupt one, and its JSON is the report', async () => {
  const { folder, storage } = await stored(running());
  const main = join(import.meta.dirname, 'main.ts');
  const run = (...args: readonly string[]) => spawnSync(process.execPath, [main, 'lineage', ...args], { encoding: 'utf8' });
  const json = run(folder, '-o', 'json');
  const { url, head, checkpoints } = JSON.parse(json.stdout) as { url: string; head: { number: number }; checkpoints: unknown[] };
  assert.equal(url, storage.url);
  assert.equal(head.number, 4);
  assert.equal(checkpoints.length, 3);
  const whole = run(`file://${folder}`);
  await truncate(join(folder, entryPath(2)), 3);
  const corrupt = run(folder);
  assert.deepEqual([json.status, whole.status, corrupt.status], [0, 0, 1]);
  assert.match(corrupt.stdout, /CORRUPT/);
});

test('a directory without a lineage, and wrong arguments, get an answer that says what to do', async () => {
  const { folder } = await stored(new LineageBuilder());
  const notFound = { code: 'LineageNotFound', message: /holds no lineage/, remedy: /<checkpointStorage>\/<namespace>\/<name>/ };
  await assert.rejects(lineageCommand([folder]), notFound);
  await assert.rejects(lineageCommand([join(folder, 'missing')]), notFound);
  for (const argv of [[], ['a', 'b'], ['a', '-o', 'xml'], ['a', '--what']]) {
    await assert.rejects(lineageCommand(argv), { code: 'BadArguments', remedy: /lineage DIR \[-o json\]/ });
  }
});
