// Checkpoints of real databases into a real directory: what is put, what is named again, and what may go. A whole job is in
// ../command/shared-files-of-a-job.test.ts, bookkeeping in ../core/checkpoint/shared-file-registry.test.ts.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import type { KeyedStatePart, StateHandle } from '../core/checkpoint/manifest.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { KeyGroupRange } from '../core/key-groups/key-group.ts';
import { keyGroupOf } from '../core/key-groups/key-group.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { t } from '../core/types/t.ts';
import { valueState } from '../state-backend/conformance-fixtures.ts';
import { createRocksDbStateBackendFactory } from '../state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackend, SnapshotTarget } from '../state-backend/state-backend.ts';
import { systemClock } from '../system-clock.ts';
import { RestoredFiles } from './local-recovery/restored-files.ts';
import { SharedFiles } from './shared-files.ts';
import { snapshotTarget, toRestoredPart } from './state-files.ts';

const skip = nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';
const allKeyGroups = { first: 0, last: 127 };
const epoch7 = { epoch: 7, executionAttempt: 1 };
const epoch8 = { epoch: 8, executionAttempt: 1 };

describe('incremental checkpoints', { skip }, () => {
  let root: string;
  let storage: CheckpointStorage;
  let puts: string[];
  let nextNumber = 0;
  const open: KeyedStateBackend[] = [];

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'flinkjob-incremental-'));
  });
  beforeEach(async () => {
    nextNumber += 1;
    const directory = join(root, `storage-${nextNumber}`);
    await mkdir(directory);
    puts = [];
    storage = counting(openCheckpointStorage(pathToFileURL(directory).href, { namespace: 'test', name: 'job' }));
  });
  after(async () => {
    await Promise.all(open.map((backend) => backend.close()));
    await rm(root, { recursive: true, force: true });
  });

  function counting(inner: CheckpointStorage): CheckpointStorage {
    return new Proxy(inner, {
      get: (target, property: keyof CheckpointStorage) => {
        const value = target[property];
        if (typeof value !== 'function') {
          return value;
        }
        return (...args: unknown[]) => {
          if (property === 'putIfAbsent' || property === 'putFileIfAbsent') {
            puts.push(String(args[0]));
          }
          return (value as (...parameters: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }

  class Subject {
    readonly backend: KeyedStateBackend;
    readonly files: SharedFiles;
    readonly #keyGroups: KeyGroupRange;

    constructor(backend: KeyedStateBackend, files: SharedFiles, keyGroups: KeyGroupRange) {
      this.backend = backend;
      this.files = files;
      this.#keyGroups = keyGroups;
    }

    static async open(
      token: FencingToken,
      parts: readonly KeyedStatePart[] = [],
      keyGroups: KeyGroupRange = allKeyGroups,
    ): Promise<Subject> {
      const files = new SharedFiles({ storage, clock: systemClock }, token);
      const create = createRocksDbStateBackendFactory({
        binding: loadNativeBinding(),
        memory: { capacityBytes: 64 * 1024 * 1024, writeBufferBytes: 16 * 1024 * 1024 },
        allocateDirectory: async (name) => {
          const path = join(root, name);
          await mkdir(path);
          return { path, release: () => rm(path, { recursive: true, force: true }) };
        },
      });
      nextNumber += 1;
      const restored = new RestoredFiles(new Map(), () => {});
      const backend = await create(
        {
          ...{ name: `counts-${nextNumber}`, keyType: t.int, namespaceType: undefined, timers: false, maxParallelism: 128 },
          states: [valueState('value', t.bytes)],
          ...{ keyGroups, nowMs: () => 0, onRoom: () => {}, storedFiles: files },
        },
        await Promise.all(parts.map((part) => toRestoredPart(storage, part, restored))),
      );
      open.push(backend);
      return new Subject(backend, files, keyGroups);
    }

    /** Values that do not compress, so that files are as large as what is in them; keys of other key groups are left out. */
    write(from: number, to: number, seed = 1): void {
      for (let key = from; key < to; key += 1) {
        if (isWithin(key, this.#keyGroups)) {
          this.backend.setCurrentKey(key);
          this.backend.value('value').set(bytesOf(key * 31 + seed));
        }
      }
    }

    holds(from: number, to: number, seed = 1): void {
      for (let key = from; key < to; key += 1) {
        if (isWithin(key, this.#keyGroups)) {
          this.backend.setCurrentKey(key);
          assert.deepEqual(this.backend.value('value').get(), bytesOf(key * 31 + seed), `key ${key}`);
        }
      }
    }

    target(checkpointId: number, uploads: number[] = []): SnapshotTarget {
      return snapshotTarget(
        { storage, clock: systemClock },
        {
          ...{ directory: `chk-${checkpointId}`, uid: 'counts', subtaskIndex: this.#keyGroups.first, executionAttempt: 1 },
          ...{ checkpointId, format: 'Native', onUploaded: (sizeBytes) => void uploads.push(sizeBytes) },
        },
        this.files,
      );
    }

    async checkpoint(checkpointId: number) {
      const uploads: number[] = [];
      const before = puts.length;
      const written = await this.backend.snapshot().write(this.target(checkpointId, uploads));
      this.files.settled(checkpointId);
      const part: KeyedStatePart = { keyGroups: this.#keyGroups, ...written };
      const tables = new Map(part.files.flatMap(({ name, handle }) => (name.endsWith('.sst') ? [[name, handle]] : [])));
      return { part, tables, uploadedSizeBytes: uploads.reduce((sum, each) => sum + each, 0), puts: puts.slice(before) };
    }

    async putAhead(): Promise<void> {
      await this.backend.putAhead?.(
        (name, localPath, { sha256 }) =>
          this.files.put({ name, localPath, sha256, checkpointId: undefined, onUploaded: () => {} }),
        () => true,
      );
    }
  }

  function pathsOf(tables: ReadonlyMap<string, StateHandle>): readonly string[] {
    return [...tables.values()].flatMap((handle) => (handle.type === 'file' ? [handle.path] : [])).sort();
  }

  test('what changed is put, what did not is named; when nothing changed nothing is put', async () => {
    const subject = await Subject.open(epoch7);
    subject.write(0, 1000);
    const first = await subject.checkpoint(1);
    assert.ok(first.uploadedSizeBytes > 900_000);
    subject.write(1000, 1100);
    const second = await subject.checkpoint(2);
    const isNew = ([name]: readonly [string, StateHandle]) => !first.tables.has(name);
    const added = new Map([...second.tables].filter(isNew));
    assert.deepEqual(second.puts, pathsOf(added));
    assert.deepEqual(new Map([...second.tables].filter((entry) => !isNew(entry))), first.tables);
    assert.ok(second.uploadedSizeBytes > 90_000 && second.uploadedSizeBytes < 130_000, `${second.uploadedSizeBytes} bytes`);
    const third = await subject.checkpoint(3);
    assert.deepEqual([third.puts, third.uploadedSizeBytes, third.tables], [[], 0, second.tables]);
  });

  test('after a restore in place the names of the older epoch go on, and the state is whole', async () => {
    const before = await Subject.open(epoch7);
    before.write(0, 1000);
    const { part, tables } = await before.checkpoint(1);
    const after = await Subject.open(epoch8, [part]);
    const again = await after.checkpoint(2);
    assert.deepEqual([again.puts, pathsOf(again.tables)], [[], pathsOf(tables)]);
    after.write(2000, 2100);
    const more = await after.checkpoint(3);
    assert.deepEqual(
      more.puts.map((path) => path.slice(0, 10)),
      ['shared/e8-'],
    );
    const last = await Subject.open(epoch8, [more.part]);
    last.holds(0, 1000);
    last.holds(2000, 2100);
  });

  test('parts that are brought together keep their names in storage, although the database calls them otherwise', async () => {
    const halves = [
      { first: 0, last: 63 },
      { first: 64, last: 127 },
    ];
    const parts: KeyedStatePart[] = [];
    const paths: string[] = [];
    for (const keyGroups of halves) {
      const half = await Subject.open(epoch7, [], keyGroups);
      half.write(0, 1000);
      const { part, tables } = await half.checkpoint(1);
      parts.push(part);
      paths.push(...pathsOf(tables));
    }
    const whole = await Subject.open(epoch8, parts);
    const { puts: written, tables, part } = await whole.checkpoint(2);
    assert.deepEqual(written, []);
    assert.deepEqual(pathsOf(tables), paths.sort());
    const again = await Subject.open(epoch8, [part]);
    again.holds(0, 1000);
  });

  test('one part in two halves: both name the same files', async () => {
    const whole = await Subject.open(epoch7);
    whole.write(0, 1000);
    const { part, tables } = await whole.checkpoint(1);
    for (const keyGroups of [
      { first: 0, last: 63 },
      { first: 64, last: 127 },
    ]) {
      const half = await Subject.open(epoch8, [part], keyGroups);
      half.holds(0, 1000);
      const { part: written, ...checkpoint } = await half.checkpoint(2);
      assert.ok(pathsOf(tables).every((path) => pathsOf(checkpoint.tables).includes(path)));
      const again = await Subject.open(epoch8, [written], keyGroups);
      again.holds(0, 1000);
    }
  });

  test('files that compaction replaces are forgotten once no open checkpoint needs them', { timeout: 120_000 }, async () => {
    const subject = await Subject.open(epoch7);
    const named = new Set<string>();
    let kept: readonly string[] = [];
    let id = 0;
    // Overwritten again and again until a compaction, which is in the background, has replaced something.
    while (named.size === kept.length) {
      id += 1;
      subject.write(0, 300, id);
      kept = pathsOf((await subject.checkpoint(id)).tables);
      for (const path of kept) {
        named.add(path);
      }
    }
    const forgotten = subject.files.forget(1, [...named]);
    assert.deepEqual([...forgotten].sort(), [...named].filter((path) => !kept.includes(path)).sort());
    // What is written from now on has names that were never forgotten.
    subject.write(5000, 5100);
    const after = await subject.checkpoint(id + 1);
    assert.ok(after.puts.length > 0 && after.puts.every((path) => path.endsWith('-a1-f1.sst')), after.puts.join());
  });

  test('a checkpoint waits only for what was written last: the rest was put ahead', async () => {
    const subject = await Subject.open(epoch7);
    subject.write(0, 1000);
    // Flushed, and given up before anything was put.
    const abandoned = subject.backend.snapshot();
    await assert.rejects(abandoned.write({ ...subject.target(1), putSharedFile: () => Promise.reject(new Error('aborted')) }));
    assert.deepEqual(puts, []);
    await subject.putAhead();
    assert.deepEqual(puts, [], 'what was just written may be replaced at once');
    await subject.putAhead();
    assert.ok(puts.length > 0);
    subject.write(1000, 1100);
    const { puts: written, uploadedSizeBytes, part } = await subject.checkpoint(2);
    assert.equal(written.length, 1);
    assert.ok(uploadedSizeBytes < 130_000);
    const restored = await Subject.open(epoch8, [part]);
    restored.holds(0, 1100);
  });

  test('the files of an aborted checkpoint are the next one’s', async () => {
    const subject = await Subject.open(epoch7);
    subject.write(0, 1000);
    const target = subject.target(1);
    const aborted = subject.backend.snapshot().write({
      ...target,
      putBytes: () => Promise.reject(new Error('aborted after the files')),
    });
    await assert.rejects(aborted);
    subject.files.settled(1);
    const putsOfAborted = puts.filter((path) => path.startsWith('shared/'));
    assert.ok(putsOfAborted.length > 0);
    const { puts: written, tables } = await subject.checkpoint(2);
    assert.deepEqual(written, []);
    assert.deepEqual(pathsOf(tables), putsOfAborted.sort());
  });

  test('closing waits for what is being put, and leaves no link behind', async () => {
    const subject = await Subject.open(epoch7);
    subject.write(0, 1000);
    await subject.checkpoint(1);
    await subject.putAhead();
    subject.write(1000, 2000);
    await subject.backend.snapshot().write(subject.target(2));
    const putting = subject.putAhead();
    await subject.backend.close();
    await putting;
    assert.ok(!(await readdir(root)).some((name) => name === `counts-${nextNumber}`));
  });
});

function isWithin(key: number, { first, last }: KeyGroupRange): boolean {
  const writer = new BinaryWriter(16);
  t.int.encodeKey(key, writer);
  const keyGroup = keyGroupOf(writer.toBytes(), 128);
  return keyGroup >= first && keyGroup <= last;
}

function bytesOf(seed: number): Uint8Array {
  let value = seed + 1;
  return Uint8Array.from({ length: 1000 }, () => {
    value = (Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return value >>> 24;
  });
}
