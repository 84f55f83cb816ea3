// What all backends share, of this one: once as it runs, and once with a cache so small that everything is evicted and read again all the
// time. Restores of several parts are in restore-part.test.ts, random programs in test/state-programs.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { testKeyedStateBackend } from '../conformance.ts';
import type { BackendUnderTest } from '../conformance-fixtures.ts';
import { createRocksDbStateBackendFactory, type RocksDbStateBackendLimits } from './keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';

const narrowLimits: Partial<RocksDbStateBackendLimits> = {
  entryCountMax: 4,
  sizeBytesMax: 2000,
  dirtyCountMax: 3,
  dirtySizeBytesMax: 1000,
};

function rocksDb(name: string, limits: Partial<RocksDbStateBackendLimits>): BackendUnderTest {
  return {
    name,
    createFactory: async (workingDirectory) =>
      createRocksDbStateBackendFactory({
        binding: loadNativeBinding(),
        memory: { capacityBytes: 128 * 1024 * 1024, writeBufferBytes: 32 * 1024 * 1024 },
        allocateDirectory: async (directoryName) => {
          const path = join(workingDirectory, directoryName);
          await mkdir(path);
          return { path, release: () => rm(path, { recursive: true, force: true }) };
        },
        limits,
      }),
  };
}

if (nativeBindingAvailability().state === 'Missing') {
  test('the rocksdb state backend', { skip: 'the RocksDB addon is not built' }, () => {});
} else {
  testKeyedStateBackend(rocksDb('rocksdb', {}));
  testKeyedStateBackend(rocksDb('rocksdb with a small cache', narrowLimits));
}
