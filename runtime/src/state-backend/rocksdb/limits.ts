import type { CellCacheLimits } from './cell-cache.ts';
import type { NativeMemoryUsage } from './native-binding.ts';
import type { WriteBackLimits } from './write-back.ts';

/** Of one backend. */
export interface RocksDbStateBackendLimits extends CellCacheLimits, WriteBackLimits {
  /** Timers of one domain that are kept in memory because they fire next. */
  readonly timerCountMax: number;
  /** Files that one database keeps open. */
  readonly openFileCountMax: number;
  /** Threads of the process for flush and compaction. */
  readonly backgroundJobCountMax: number;
}

const mebibyte = 1024 * 1024;

/**
 * What one value may have so that it can be written and read: it lies in one block, which must find room in one shard of the cache beside what is pinned there,
 * and comes in one batch of writes.
 */
export function valueSizeBytesMaxOf({ shardBytes, writeBufferBytes }: NativeMemoryUsage): number {
  return Math.floor(Math.min(shardBytes, writeBufferBytes) / 2);
}

/** With the share of the heap that the cache has (`sizeBytesMax`) the rest follows. */
export function completeLimits(given: Partial<RocksDbStateBackendLimits>): RocksDbStateBackendLimits {
  const sizeBytesMax = given.sizeBytesMax ?? 64 * mebibyte;
  const entryCountMax = given.entryCountMax ?? Math.ceil(sizeBytesMax / entrySizeBytesMin);
  return {
    sizeBytesMax,
    entryCountMax,
    // While a snapshot is being fixed there may be twice as many, and all of them stay in the cache.
    dirtyCountMax: given.dirtyCountMax ?? Math.min(Math.ceil(entryCountMax * dirtyShare), dirtyCountMax),
    dirtySizeBytesMax: given.dirtySizeBytesMax ?? Math.ceil(sizeBytesMax / 4),
    timerCountMax: given.timerCountMax ?? Math.min(Math.ceil(entryCountMax / 8), timerCountMax),
    openFileCountMax: given.openFileCountMax ?? 512,
    backgroundJobCountMax: given.backgroundJobCountMax ?? 2,
  };
}

/** Nothing that is cached costs less. */
const entrySizeBytesMin = 256;
const dirtyShare = 0.45;
/** Half a second of writing, in slices between records, when a checkpoint comes. */
const dirtyCountMax = 200_000;
const timerCountMax = 16 * 1024;
