// What only this backend has: a part is files, which need a disk. What a restore gives is in ../conformance.ts.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { t } from '../../core/types/t.ts';
import { StateDirectories, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackendFactory, KeyedStateBackendOptions, RestoredFile, RestoredPart } from '../state-backend.ts';
import { createRocksDbStateBackendFactory } from './keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';

const options: KeyedStateBackendOptions = {
  name: 'counts-0',
  keyType: t.string,
  namespaceType: undefined,
  states: [valueState('count', t.int)],
  timers: false,
  keyGroups: { first: 0, last: 127 },
  maxParallelism: 128,
  nowMs: () => 0,
  onRoom: () => {},
};

describe('a part that cannot be brought to the local disk', {
  skip: nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built',
}, () => {
  const workingDirectories: string[] = [];
  const checkpoints = StateDirectories.create();
  after(async () => {
    await Promise.all(workingDirectories.map((path) => rm(path, { recursive: true, force: true })));
    await (await checkpoints).remove();
  });

  async function createFactory(): Promise<{ readonly create: KeyedStateBackendFactory; readonly workingDirectory: string }> {
    const workingDirectory = await mkdtemp(join(tmpdir(), 'flinkjob-restore-'));
    workingDirectories.push(workingDirectory);
    const create = createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: { capacityBytes: 32 * 1024 * 1024, writeBufferBytes: 8 * 1024 * 1024 },
      allocateDirectory: async (name) => {
        const path = join(workingDirectory, name);
        await mkdir(path);
        return { path, release: () => rm(path, { recursive: true, force: true }) };
      },
    });
    return { create, workingDirectory };
  }

  async function writePart(): Promise<RestoredPart> {
    const { create } = await createFactory();
    const backend = await create(options, []);
    backend.setCurrentKey('a');
    backend.value('count').set(1);
    const written = await backend.snapshot().write((await checkpoints).createTarget());
    await backend.close();
    return await (await checkpoints).toRestoredPart(written, options.keyGroups);
  }

  function withFetch(part: RestoredPart, fetch: RestoredFile['fetch']): RestoredPart {
    return { ...part, files: part.files.map((file) => ({ ...file, fetch })) };
  }

  function systemError(code: string): Error {
    return Object.assign(new Error(`${code}: refused, write`), { code, syscall: 'write' });
  }

  for (const [code, expected] of [
    ['ENOSPC', 'LocalDiskFull'],
    ['EDQUOT', 'LocalDiskFull'],
    ['EROFS', 'LocalDiskFailed'],
    ['ENOENT', 'LocalDiskFailed'],
  ] as const) {
    test(`because of ${code} says that of the disk, is tried again, and leaves nothing`, async () => {
      const { create, workingDirectory } = await createFactory();
      const part = withFetch(await writePart(), () => Promise.reject(systemError(code)));
      await assert.rejects(create(options, [part]), {
        code: expected,
        retry: 'backoff',
        domain: 'external',
        message: new RegExp(code),
      });
      assert.deepEqual(await readdir(workingDirectory), []);
    });
  }

  test('because a file is shorter than it was is said of the file, and not tried again', async () => {
    const { create } = await createFactory();
    const part = await writePart();
    const longer = { ...part, files: part.files.map((file) => ({ ...file, sizeBytes: file.sizeBytes + 1 })) };
    await assert.rejects(create(options, [longer]), { code: 'StateFileDamaged', retry: 'never' });
  });

  test('is restored when there is nothing in the way', async () => {
    const { create } = await createFactory();
    const backend = await create(options, [await writePart()]);
    backend.setCurrentKey('a');
    assert.equal(backend.value('count').get(), 1);
    await backend.close();
  });
});
