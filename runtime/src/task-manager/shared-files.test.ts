// Files of one database on their way to checkpoint storage. What is known of them when is in core/checkpoint/shared-file-registry.test.ts; with a real database:
// incremental-checkpoints.test.ts.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MemoryStorage } from '../../test/fakes/memory-storage.ts';
import type { StateHandle } from '../core/checkpoint/manifest.ts';
import { systemClock } from '../system-clock.ts';
import { type LocalFiles, SharedFiles, type SharedFilesOptions } from './shared-files.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flinkjob-shared-'));
});
after(() => rm(directory, { recursive: true }));

const token = { epoch: 7, executionAttempt: 1 };

async function fixture(options: SharedFilesOptions = {}) {
  const storage = new MemoryStorage();
  const files = new SharedFiles({ storage, clock: systemClock }, token, options);
  const uploads: number[] = [];
  const put = async (name: string, checkpointId?: number): Promise<StateHandle> =>
    await files.put({
      ...{ name, checkpointId, localPath: join(directory, name), sha256: undefined },
      onUploaded: (sizeBytes) => uploads.push(sizeBytes),
    });
  return { storage, files, uploads, put };
}

async function localFile(name: string, sizeBytes: number, fill: string): Promise<void> {
  await writeFile(join(directory, name), Buffer.alloc(sizeBytes, fill));
}

function pathOf(handle: StateHandle): string {
  assert.ok(handle.type === 'file');
  return handle.path;
}

test('a file is written once, however many checkpoints and whoever else name it at the same time', async () => {
  const { storage, files, uploads, put } = await fixture();
  await localFile('1.sst', 30_000, 'a');
  files.retain(['1.sst']);
  const [ahead, first] = await Promise.all([put('1.sst'), put('1.sst', 1)]);
  assert.deepEqual(first, ahead);
  assert.match(pathOf(first), /^shared\/e7-[0-9a-f]{64}\.sst$/);
  assert.deepEqual(await put('1.sst', 2), first);
  assert.deepEqual(uploads, [30_000]);
  assert.deepEqual(storage.paths(''), [pathOf(first)]);
});

test('a small file travels in the manifest', async () => {
  const { storage, put } = await fixture();
  await localFile('2.sst', 20 * 1024 - 1, 'b');
  assert.equal((await put('2.sst', 1)).type, 'inline');
  assert.deepEqual(storage.paths(''), []);
});

test('a write that failed is forgotten, and the next checkpoint writes the file', async () => {
  const { storage, files, uploads, put } = await fixture();
  await localFile('3.sst', 30_000, 'c');
  files.retain(['3.sst']);
  storage.faults = [{ operation: 'put', path: 'shared/', outcome: 'NotApplied', retryable: false, once: true }];
  await assert.rejects(put('3.sst', 1), { code: 'CheckpointStorageNotWritable' });
  files.settled(1);
  assert.deepEqual(uploads, []);
  const handle = await put('3.sst', 2);
  assert.deepEqual(storage.paths(''), [pathOf(handle)]);
});

test('a checkpoint does not fail with a write that somebody else began', async () => {
  let tries = 0;
  // Of no disk, which would answer in any order: who asks first begins the write.
  const localFiles: LocalFiles = {
    sizeBytes: async () => 30_000,
    read: async () => new Uint8Array(30_000),
    sha256: async () => 'ab'.repeat(32),
    put: async (_ports, reference) => {
      tries += 1;
      if (tries === 1) {
        throw new Error('storage is away');
      }
      return reference;
    },
  };
  const { put } = await fixture({ localFiles });
  const [ahead, checkpoint] = await Promise.allSettled([put('4.sst'), put('4.sst', 1)]);
  assert.equal(ahead.status, 'rejected');
  assert.equal(checkpoint.status, 'fulfilled');
  assert.equal(tries, 2);
});

test('what an aborted checkpoint has written is the next one’s', async () => {
  const { files, uploads, put } = await fixture();
  await localFile('5.sst', 30_000, 'e');
  files.retain(['5.sst']);
  const aborted = await put('5.sst', 1);
  files.settled(1);
  assert.deepEqual(await put('5.sst', 2), aborted);
  assert.deepEqual(uploads, [30_000]);
});

test('a restored file keeps its old name only where it lies among this lineage’s shared files', async () => {
  const { files, put } = await fixture();
  const sha256 = 'ab'.repeat(32);
  const fileOf = (name: string, path: string) => {
    const handle = { type: 'file', path, sizeBytes: 30_000, sha256 } as const;
    const file = { name, sizeBytes: 30_000, handle, fetch: async () => {}, read: async () => new Uint8Array() };
    return { name, sizeBytes: 30_000, identity: name, file };
  };
  await localFile('6.sst', 30_000, 'f');
  await localFile('7.sst', 30_000, 'g');
  const sources = [fileOf('6.sst', `shared/e5-${sha256}.sst`), fileOf('7.sst', 'savepoints/000003-e5/counts-0-a1.7.sst')];
  files.restored(sources, sources);
  assert.equal(pathOf(await put('6.sst', 1)), `shared/e5-${sha256}.sst`);
  assert.match(pathOf(await put('7.sst', 1)), /^shared\/e7-/);
});
