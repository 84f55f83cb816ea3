// Exports on a local disk: what they contain, that they need nobody, how they go on after an interruption, what they refuse, and that the
// source is pinned before it is read. Restoring from one: job-manager/import.test.ts, and command/savepoint.test.ts with a real job.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { StoredLineage } from '../../test/fakes/stored-lineage.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { LocalStorage } from '../checkpoint-storage/local/local-storage.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { systemClock } from '../system-clock.ts';
import { openCheckpointSource, type SourcePorts } from './checkpoint-source.ts';
import { exportSavepoint } from './export-savepoint.ts';

const folders: string[] = [];
after(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-export-'));
  folders.push(folder);
  return folder;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let nonces = 0;
const ports: SourcePorts = { clock: systemClock, log: silent, nonce: () => `n-${++nonces}`, openStorageAt };

async function newLineage(): Promise<{ readonly folder: string; readonly lineage: StoredLineage }> {
  const folder = await newFolder();
  return { folder, lineage: await StoredLineage.open(new LocalStorage(join(folder, 'default', 'job')), systemClock) };
}

const quiet = { verifyContent: false, onProgress: () => {} };

test('an export holds everything, with relative paths, and is whole after it was moved and its lineage is gone', async () => {
  const { folder, lineage } = await newLineage();
  const savepoint = await lineage.complete({ kind: 'Savepoint' });
  const to = join(folder, 'backup');
  const seen: number[] = [];
  const result = await exportSavepoint(ports, {
    from: lineage.urlOf(savepoint),
    to,
    verifyContent: true,
    onProgress: ({ copiedSizeBytes, totalSizeBytes }) => seen.push(copiedSizeBytes / totalSizeBytes),
  });
  assert.deepEqual([result.fileCount, result.stateSizeBytes, seen.at(-1)], [4, savepoint.stateSizeBytes, 1]);
  const moved = join(folder, 'moved');
  await cp(to, moved, { recursive: true });
  await rm(to, { recursive: true });
  await rm(join(folder, 'default'), { recursive: true });
  const source = await openCheckpointSource(ports, moved);
  assert.equal(source.origin, undefined);
  assert.equal(source.manifest.exported?.from, lineage.urlOf(savepoint));
  const names = (await source.storage.list('')).map(({ path }) => path);
  assert.equal(names.filter((name) => /^state\/[0-9a-f]{64}(\.sst)?$/.test(name)).length, 4);
  assert.equal(names.filter((name) => name.endsWith('.sst')).length, 2);
});

test('an exported one can be exported again', async () => {
  const { folder, lineage } = await newLineage();
  const first = join(folder, 'first');
  await exportSavepoint(ports, { from: lineage.urlOf(await lineage.complete()), to: first, ...quiet });
  const again = await exportSavepoint(ports, { from: first, to: join(folder, 'second'), ...quiet });
  assert.equal(again.fileCount, 4);
});

test('an export that was interrupted is no savepoint, and doing it again continues it', async () => {
  const { folder, lineage } = await newLineage();
  const from = lineage.urlOf(await lineage.complete({ kind: 'Savepoint' }));
  const to = join(folder, 'backup');
  let copies = 0;
  const breaking: SourcePorts = {
    ...ports,
    openStorageAt: (url) => (url.endsWith('/backup') ? failingAfter(openStorageAt(url), 2, () => copies++) : openStorageAt(url)),
  };
  await assert.rejects(exportSavepoint(breaking, { from, to, ...quiet }), /no more/);
  await assert.rejects(openCheckpointSource(ports, to), { code: 'RestoreSourceNotFound' });
  copies = -100;
  await exportSavepoint(breaking, { from, to, ...quiet });
  assert.equal(copies, -98, 'two of four files were there already');
  // And once more: nothing is left to do.
  await exportSavepoint(breaking, { from, to, ...quiet });
  assert.equal(copies, -98);
});

function failingAfter(storage: CheckpointStorage, count: number, counted: () => number): CheckpointStorage {
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'copyFrom') {
        return async (...args: Parameters<CheckpointStorage['copyFrom']>) => {
          if (counted() >= count) {
            throw new Error('no more');
          }
          return await target.copyFrom(...args);
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('the source is pinned while it is read, and only then', async () => {
  const { folder, lineage } = await newLineage();
  const from = lineage.urlOf(await lineage.complete());
  await exportSavepoint(ports, { from, to: join(folder, 'backup'), ...quiet });
  const entries = await types(lineage);
  assert.deepEqual(entries.slice(-2), ['Pinned', 'Unpinned']);
  assert.deepEqual((await lineage.log.checkHead()).pins, []);
});

async function types({ log }: StoredLineage): Promise<readonly string[]> {
  await log.checkHead();
  return log.entries.map(({ type }) => type);
}

/** Before any file is copied, the owner completes newer checkpoints, subsumes the one that is exported, and deletes what it condemned. */
async function exportWhileSubsumed(rules: Pick<typeof lineageRules, 'forkSteps'>): Promise<void> {
  const { folder, lineage } = await newLineage();
  const from = lineage.urlOf(await lineage.complete({ content: 'first' }));
  // Files are copied side by side, in any order: all of them wait for it.
  let subsumed: Promise<void> | undefined;
  const subsuming: SourcePorts = {
    ...ports,
    openStorageAt: (url) => {
      const storage = openStorageAt(url);
      return url.endsWith('/backup')
        ? before(storage, async () => {
            subsumed ??= subsume(lineage);
            await subsumed;
          })
        : storage;
    },
  };
  await exportSavepoint(subsuming, { from, to: join(folder, 'backup'), ...quiet }, rules);
  assert.notEqual(subsumed, undefined);
}

function before(storage: CheckpointStorage, action: () => Promise<void>): CheckpointStorage {
  const copyFrom: CheckpointStorage['copyFrom'] = async (...args) => {
    await action();
    return await storage.copyFrom(...args);
  };
  return new Proxy(storage, {
    get: (target, name) => {
      const value = name === 'copyFrom' ? copyFrom : (Reflect.get(target, name) as unknown);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function subsume(lineage: StoredLineage): Promise<void> {
  await lineage.complete({ content: 'second' });
  await lineage.complete({ content: 'third' });
  const { storage, log } = lineage;
  await log.append((view) => {
    const names = lineageRules.subsumedCheckpoints(view, { retain: 1, inUse: [] }).map(({ manifest }) => manifest.path);
    return names.length === 0 ? undefined : { type: 'Condemned', names };
  });
  for (const { names: condemned } of log.view.condemnations) {
    for (const path of condemned) {
      const folder = `${path.replace('/_metadata', '')}/`;
      await storage.delete((await storage.list(folder)).map((object) => object.path));
    }
  }
}

test('an owner that subsumes meanwhile takes nothing away', async () => {
  await exportWhileSubsumed(lineageRules);
});

test('planted bug, pin after read: what is being copied disappears', async () => {
  await assert.rejects(exportWhileSubsumed({ forkSteps: () => ['Read', 'Pin', 'Unpin'] }), { code: 'CheckpointDamaged' });
});

test('what a closed lineage has committed is not committed by whoever restores the export', async () => {
  const { folder, lineage } = await newLineage();
  const { checkpointId, ...record } = await lineage.complete({ kind: 'Savepoint' });
  await lineage.log.append({ type: 'Closed', reason: 'StoppedWithSavepoint', checkpointId, operationId: 'stop' });
  await exportSavepoint(ports, { from: lineage.urlOf({ checkpointId, ...record }), to: join(folder, 'backup'), ...quiet });
  const { manifest } = await openCheckpointSource(ports, join(folder, 'backup'));
  assert.deepEqual(manifest.operators.find(({ uid }) => uid === 'out')?.committables, []);
});

test('a place that is something else already is refused by name', async () => {
  const { folder, lineage } = await newLineage();
  const from = lineage.urlOf(await lineage.complete());
  const occupied = join(folder, 'occupied');
  await exportSavepoint(ports, { from, to: occupied, ...quiet });
  const other = lineage.urlOf(await lineage.complete());
  await assert.rejects(exportSavepoint(ports, { from: other, to: occupied, ...quiet }), {
    code: 'ExportTargetOccupied',
    message: /another savepoint/,
  });
  const strange = await newFolder();
  await writeFile(join(strange, 'notes.txt'), 'mine');
  await assert.rejects(exportSavepoint(ports, { from, to: strange, ...quiet }), {
    code: 'ExportTargetOccupied',
    message: /notes\.txt/,
  });
  await assert.rejects(exportSavepoint(ports, { from, to: `${lineage.storage.url}/exports/one`, ...quiet }), {
    code: 'ExportTargetInside',
  });
});

test('a damaged export is refused by name: its manifest, one of its files', async () => {
  const { folder, lineage } = await newLineage();
  const to = join(folder, 'backup');
  await exportSavepoint(ports, { from: lineage.urlOf(await lineage.complete()), to, ...quiet });
  const text = await readFile(join(to, '_metadata'), 'utf8');
  await writeFile(join(to, '_metadata'), text.replace('"Aw=="', '"Ag=="'));
  await assert.rejects(openCheckpointSource(ports, to), { code: 'CheckpointDamaged', message: /SHA-256/ });
  await writeFile(join(to, '_metadata'), text);
  const [file] = await readdir(join(to, 'state'));
  await rm(join(to, 'state', file ?? ''));
  const again = exportSavepoint(ports, { from: to, to: join(folder, 'second'), ...quiet });
  await assert.rejects(again, { code: 'CheckpointDamaged', message: /is missing/ });
});

test('what is no checkpoint is refused by what it is', async () => {
  const { folder, lineage } = await newLineage();
  const record = await lineage.complete();
  const refusal = async (text: string, expected: object) => await assert.rejects(openCheckpointSource(ports, text), expected);
  await refusal(join(folder, 'nowhere'), { code: 'RestoreSourceNotFound' });
  await refusal(lineage.storage.url, { code: 'RestoreSourceNotFound', message: /whole lineage/, remedy: /chk-000001-e1/ });
  await refusal(`${lineage.storage.url}/chk-000007-e1`, { code: 'RestoreSourceNotFound' });
  const copied = join(folder, 'copied');
  await cp(new URL(lineage.urlOf(record)), copied, { recursive: true });
  await refusal(copied, { code: 'SavepointNotSelfContained', remedy: /savepoint export/ });
  const flinks = await newFolder();
  await writeFile(join(flinks, '_metadata'), Buffer.from('4960672d00000004', 'hex'));
  await refusal(pathToFileURL(flinks).href, { code: 'FlinkSavepointUnsupported', message: /Apache Flink/ });
  const newer = await newFolder();
  await writeFile(join(newer, '_metadata'), '{"format":3}');
  await refusal(newer, { code: 'ManifestFormatTooNew' });
  await writeFile(join(newer, '_metadata'), '{"format":1,"checkpointId":1,"operators":[{"keyed":{}}]}');
  await refusal(newer, { code: 'ManifestCorrupt' });
  await lineage.complete({ content: 'second' });
  await lineage.log.append({ type: 'Condemned', names: [record.manifest.path] });
  await refusal(lineage.urlOf(record), { code: 'RestoreSourceGone', message: /condemned/ });
});
