import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createHashmapStateBackendFactory } from '../../src/state-backend/hashmap/keyed-state-backend.ts';
import {
  createRocksDbStateBackendFactory,
  type RocksDbStateBackendLimits,
} from '../../src/state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../../src/state-backend/rocksdb/native-loader.ts';
import type { Contestant } from './run-program.ts';

export const contestantNames = ['hashmap', 'rocksdb'] as const;

export type ContestantName = (typeof contestantNames)[number];

/** Why a backend cannot take part on this machine; undefined: it can. */
export function whyMissing(name: ContestantName): string | undefined {
  return name === 'rocksdb' && nativeBindingAvailability().state === 'Missing' ? 'the RocksDB addon is not built' : undefined;
}

/** Far below what any program has, so that whatever can be evicted, written back or made to wait is. */
const narrowLimits: Partial<RocksDbStateBackendLimits> = {
  entryCountMax: 4,
  sizeBytesMax: 2000,
  dirtyCountMax: 3,
  dirtySizeBytesMax: 1000,
};

const memory = { capacityBytes: 128 * 1024 * 1024, writeBufferBytes: 32 * 1024 * 1024 };

/** Makes the contestants of each program; every second one has narrow limits. */
export function createContestants(
  names: readonly ContestantName[],
  workingDirectory: string,
): (seed: number) => readonly Contestant[] {
  const hashmap = createHashmapStateBackendFactory({ sizeBytesMax: 256 * 1024 * 1024 });
  const rocksDb = names.includes('rocksdb') ? createRocksDb(workingDirectory) : undefined;
  return (seed) =>
    names.map((name) => {
      const isNarrow = seed % 2 === 0;
      if (name === 'hashmap' || rocksDb === undefined) {
        return { name: 'hashmap', createBackend: hashmap };
      }
      return isNarrow
        ? { name: 'rocksdb with narrow limits', createBackend: rocksDb.narrow }
        : { name: 'rocksdb', createBackend: rocksDb.wide };
    });
}

function createRocksDb(workingDirectory: string) {
  const environment = {
    binding: loadNativeBinding(),
    memory,
    allocateDirectory: async (name: string) => {
      const path = join(workingDirectory, name);
      await mkdir(path);
      return { path, release: () => rm(path, { recursive: true, force: true }) };
    },
  };
  return {
    wide: createRocksDbStateBackendFactory(environment),
    narrow: createRocksDbStateBackendFactory({ ...environment, limits: narrowLimits }),
  };
}
