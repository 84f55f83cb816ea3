import type { StateBackendType } from '../checkpoint/manifest.ts';
import { JobError } from '../job-error.ts';

/**
 * How a TaskManager divides the memory that it may use, decided once at start and kept by whoever owns each part: V8 by its heap limits,
 * RocksDB by its strict cap, the exchange by credit. What nobody can cap (code, stacks, the allocator's waste) has a reserve.
 */
export interface MemoryBudget {
  readonly totalSizeBytes: number;
  /** Code, stacks, file buffers and what allocators waste; measured on an idle TaskManager, with room. */
  readonly reserveSizeBytes: number;
  /** Heap of the main thread: connections and messages. */
  readonly mainHeapSizeBytes: number;
  /** Heap of each thread that runs subtasks, young generation included. */
  readonly threadHeapSizeBytes: number;
  readonly youngGenerationSizeBytes: number;
  /** Record pages under way, of all threads and connections. */
  readonly networkSizeBytes: number;
  /** Of the `HashMap` backend: what its entries may come to over all threads; 0 with another backend. */
  readonly heapStateSizeBytes: number;
  /** Undefined without the backend. */
  readonly rocksDb: RocksDbMemory | undefined;
}

export interface RocksDbMemory {
  /** Block cache, memtables, indexes and filters of all databases of the process. */
  readonly capacitySizeBytes: number;
  /** The memtables' part of it. */
  readonly writeBufferSizeBytes: number;
  /** What RocksDB takes beyond its cap: pieces that the allocator cannot reuse, open files, iterators. */
  readonly overheadSizeBytes: number;
  /** On each thread's heap, over all its backends: the state cache, and what of it is not written yet. */
  readonly threadCacheSizeBytes: number;
  readonly threadUnwrittenSizeBytes: number;
}

const mebibyte = 1024 * 1024;

const processReserveSizeBytes = 96 * mebibyte;
const threadReserveSizeBytes = 24 * mebibyte;
const mainHeapSizeBytes = 48 * mebibyte;
/** Below it a thread collects garbage more than it works. */
const threadHeapSizeBytesMin = 64 * mebibyte;
/** Three semi-spaces of 16 MiB: batches of records die young there. */
const youngGenerationSizeBytes = 48 * mebibyte;
/**
 * Of a small heap. V8 begins to mark the whole heap when the old generation has no more room than a semi-space holds, so a large young generation beside a small
 * old one means marking all the time: with half of 86 MiB it took two thirds of the processor time.
 */
const youngGenerationShareMax = 0.25;
const networkShare = 0.1;
const networkSizeBytesMin = 32 * mebibyte;
const networkSizeBytesMax = 1024 * mebibyte;
/** Below it a database cannot hold two memtables and the blocks of one read. */
const rocksDbSizeBytesMin = 64 * mebibyte;
/** Of what heaps and RocksDB share. A heap with room collects less: 0.4 gave 10 to 20 % more throughput than 0.55 with 512 MiB for one thread. */
const rocksDbShare = 0.45;
const writeBufferShare = 0.4;
/** Of the cap; measured at 15 to 57 % with the system's allocator, the more the smaller its arenas are reused. */
const rocksDbOverheadShare = 0.3;
/**
 * Of the old generation, as counted: V8 takes half as much again, and all of it is marked with every collection. Measured with 512 MiB and state far larger than
 * that: of random accesses 0.4 costs a quarter of the throughput that 0.25 gives, of windows that only fill 0.25 a sixth of what 0.12 gives. While a
 * snapshot is taken there may be twice as much unwritten.
 */
const cacheShare = 0.15;
const unwrittenShare = 0.1;
/** V8 needs room to collect in, and an object costs more than its counted bytes. */
const heapStateShare = 0.55;

/** Pure. Throws `MemoryTooSmall` when the parts cannot fit. */
export function planMemory(options: {
  readonly totalSizeBytes: number;
  /** Threads that run subtasks. */
  readonly threadCount: number;
  readonly stateBackend: StateBackendType;
  /** What the client of checkpoint storage needs outside the heaps; none where that is a disk. */
  readonly storageClientSizeBytes?: number;
}): MemoryBudget {
  const { totalSizeBytes, threadCount, stateBackend, storageClientSizeBytes = 0 } = options;
  const usesRocksDb = stateBackend === 'RocksDB';
  const reserveSizeBytes = processReserveSizeBytes + threadCount * threadReserveSizeBytes + storageClientSizeBytes;
  const networkSizeBytes = Math.floor(
    Math.min(Math.max(totalSizeBytes * networkShare, networkSizeBytesMin), networkSizeBytesMax),
  );
  const sharedSizeBytes = totalSizeBytes - reserveSizeBytes - mainHeapSizeBytes - networkSizeBytes;
  const rocksDbSizeBytes = usesRocksDb
    ? Math.max(
        rocksDbSizeBytesMin,
        Math.min(sharedSizeBytes * rocksDbShare, sharedSizeBytes - threadCount * threadHeapSizeBytesMin),
      )
    : 0;
  const threadHeapSizeBytes = Math.floor((sharedSizeBytes - rocksDbSizeBytes) / threadCount);
  if (threadHeapSizeBytes < threadHeapSizeBytesMin) {
    throw tooSmall(options, smallestTotal(threadCount, usesRocksDb, storageClientSizeBytes));
  }
  const youngSizeBytes = Math.min(youngGenerationSizeBytes, Math.floor(threadHeapSizeBytes * youngGenerationShareMax));
  const oldSizeBytes = threadHeapSizeBytes - youngSizeBytes;
  const capacitySizeBytes = Math.floor(rocksDbSizeBytes / (1 + rocksDbOverheadShare));
  return {
    totalSizeBytes,
    reserveSizeBytes,
    mainHeapSizeBytes,
    threadHeapSizeBytes,
    youngGenerationSizeBytes: youngSizeBytes,
    networkSizeBytes,
    heapStateSizeBytes: usesRocksDb
      ? 0
      : Math.floor((threadHeapSizeBytes - youngGenerationSizeBytes / 2) * heapStateShare) * threadCount,
    rocksDb: usesRocksDb
      ? {
          capacitySizeBytes,
          writeBufferSizeBytes: Math.floor(capacitySizeBytes * writeBufferShare),
          overheadSizeBytes: Math.floor(rocksDbSizeBytes) - capacitySizeBytes,
          threadCacheSizeBytes: Math.floor(oldSizeBytes * cacheShare),
          threadUnwrittenSizeBytes: Math.floor(oldSizeBytes * unwrittenShare),
        }
      : undefined,
  };
}

/** For people, each part named: `512 MiB = RocksDB 160 MiB + 1 heap of 132 MiB + …`. */
export function formatMemoryBudget(budget: MemoryBudget, threadCount: number): string {
  const { rocksDb, threadHeapSizeBytes, networkSizeBytes, reserveSizeBytes } = budget;
  const parts = [
    ...(rocksDb === undefined
      ? []
      : [`RocksDB ${mebibytes(rocksDb.capacitySizeBytes)} and ${mebibytes(rocksDb.overheadSizeBytes)} beside it`]),
    `${threadCount} ${threadCount === 1 ? 'heap' : 'heaps'} of ${mebibytes(threadHeapSizeBytes)}`,
    `main heap ${mebibytes(budget.mainHeapSizeBytes)}`,
    `network ${mebibytes(networkSizeBytes)}`,
    `reserve ${mebibytes(reserveSizeBytes)}`,
  ];
  return `${mebibytes(budget.totalSizeBytes)} = ${parts.join(' + ')}`;
}

function smallestTotal(threadCount: number, usesRocksDb: boolean, storageClientSizeBytes: number): number {
  const fixed = processReserveSizeBytes + storageClientSizeBytes + mainHeapSizeBytes + (usesRocksDb ? rocksDbSizeBytesMin : 0);
  const withoutNetwork = fixed + threadCount * (threadReserveSizeBytes + threadHeapSizeBytesMin);
  return Math.max(withoutNetwork + networkSizeBytesMin, Math.ceil(withoutNetwork / (1 - networkShare)));
}

function tooSmall(
  { totalSizeBytes, threadCount, stateBackend }: Parameters<typeof planMemory>[0],
  requiredSizeBytes: number,
): JobError {
  return new JobError(
    `${mebibytes(totalSizeBytes)} of memory are too little for a TaskManager with ${threadCount} ${threadCount === 1 ? 'thread' : 'threads'} and the state backend ${stateBackend}: it needs ${mebibytes(requiredSizeBytes)}`,
    {
      domain: 'user',
      retry: 'never',
      code: 'MemoryTooSmall',
      remedy: `Raise spec.taskManager.resources.limits.memory to ${mebibytes(requiredSizeBytes)} or more, or use fewer slots for each TaskManager.`,
    },
  );
}

function mebibytes(sizeBytes: number): string {
  return `${Math.ceil(sizeBytes / mebibyte)} MiB`;
}
