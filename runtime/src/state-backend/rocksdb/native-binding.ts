/**
 * What the native addon (`runtime/native`) offers: RocksDB without a write-ahead log, in packed buffers, so that one call serves many
 * keys. Every failure is an `Error` whose `code` is one of `NativeErrorCode`; a wrong call never crashes the process. A wrong call throws at once, also of a
 * function that gives a promise; what goes wrong later rejects the promise.
 *
 * 1. Keys and values are bytes. Packed means back to back in one buffer, with the end of each in a `Uint32Array` (the first begins at 0).
 * 2. A buffer handed to an asynchronous call belongs to it until its promise settles; using it in another call meanwhile throws `BufferInUse`.
 * 3. One writer at a time: while `writeAsync`, `deleteRange`, `clip`, `ingest` or `dropColumnFamily` is under way, another of them and `write` throw
 *    `WriterBusy`, so that order is what the caller wrote. `write` waits when memtables are flushed too slowly.
 * 4. `close` waits for asynchronous calls, ends iterators and snapshots, and makes later calls throw `Closed`. A database that is
 *    garbage-collected or whose thread ends is closed the same way.
 * 5. One process has one memory: block cache, memtables, index and filter blocks of all databases on all threads together.
 */
export interface NativeBinding {
  /** `10.4.2`. */
  readonly rocksdbVersion: string;
  /**
   * Sets the process's RocksDB memory; before the first `open` on any thread. The same values again change nothing, other values throw
   * `MemoryAlreadyConfigured`.
   */
  configureMemory(options: NativeMemoryOptions): void;
  memoryUsage(): NativeMemoryUsage;
  /** For the TTL filters of all databases of the process: milliseconds since the epoch. Entries expire by this clock and no other. */
  setNowMs(nowMs: number): void;
  open(options: NativeOpenOptions): Promise<NativeDatabase>;
  /** Removes a database's files. Throws `Busy` while it is open in this process. */
  destroy(path: string): Promise<void>;
  /** Writes a file that `ingest` takes: `count` entries, their keys ascending and each but once. */
  writeSst(
    path: string,
    options: NativeColumnFamilyOptions,
    keys: Uint8Array,
    keyEnds: Uint32Array,
    values: Uint8Array,
    valueEnds: Uint32Array,
    count: number,
  ): Promise<void>;
}

export interface NativeMemoryOptions {
  /** Strict cap of block cache, memtables, indexes and filters together; at least 4 MiB. A read that would exceed it fails with `MemoryLimit`. */
  readonly capacityBytes: number;
  /**
   * Memtables begin to be flushed when all of them together come near this; part of `capacityBytes`, and at most half of it, because they can take
   * half as much again before a write waits.
   */
  readonly writeBufferBytes: number;
}

export interface NativeMemoryUsage {
  readonly capacityBytes: number;
  /** All that counts against the cap. */
  readonly usedBytes: number;
  /** Without the memtables. */
  readonly blockCacheBytes: number;
  /** Part of `usedBytes` that cannot be evicted now: memtables, top levels of indexes, blocks that iterators read. */
  readonly pinnedBytes: number;
  readonly memtableBytes: number;
  /** The cache is divided into caches of this size, by the hash of a block: a block that is larger than one cannot be read. */
  readonly shardBytes: number;
  /** As configured. */
  readonly writeBufferBytes: number;
}

export interface NativeOpenOptions {
  readonly path: string;
  readonly createIfMissing: boolean;
  /** In order; the index is the column family's number in every call. The first must be `default`. Missing ones are created. */
  readonly columnFamilies: readonly NativeColumnFamilyOptions[];
  /** At least 20. */
  readonly maxOpenFiles: number;
  /** Threads of the process for flush and compaction, shared by all databases; the largest asked for wins. */
  readonly maxBackgroundJobs: number;
  readonly statistics: boolean;
}

export interface NativeColumnFamilyOptions {
  readonly name: string;
  readonly writeBufferBytes: number;
  readonly blockSizeBytes: number;
  readonly compression: 'none' | 'lz4';
  /** 0: no filter. Filters and indexes are partitioned, so that no read ever needs one of many megabytes. */
  readonly bloomBitsPerKey: number;
  /** `append`: a merge operand is put at the value's end, nothing between. */
  readonly mergeOperator: 'none' | 'append';
  /**
   * Entries whose key has `keyBytes` at `keyOffset` expire: their value begins with the time of their death, 8 bytes little-endian, milliseconds
   * since the epoch, 0 for never; compaction drops them after it.
   */
  readonly ttl: readonly { readonly keyOffset: number; readonly keyBytes: Uint8Array }[];
}

export interface NativeDatabase {
  /**
   * Values of `count` keys, packed into `values`; `valueEnds[i]` is the end of the i-th value, and `found[i]` is 1 where there is one, else 0. Gives the
   * bytes needed; when that is more than `values` holds, nothing in `values` is valid and the call is repeated with a larger buffer.
   * Keys need not be sorted: the addon sorts. The three buffers of results share no memory with another. The asynchronous form reads as of the call.
   */
  multiGet(
    columnFamily: number,
    keys: Uint8Array,
    keyEnds: Uint32Array,
    count: number,
    values: Uint8Array,
    valueEnds: Uint32Array,
    found: Uint8Array,
  ): number;
  multiGetAsync(
    columnFamily: number,
    keys: Uint8Array,
    keyEnds: Uint32Array,
    count: number,
    values: Uint8Array,
    valueEnds: Uint32Array,
    found: Uint8Array,
  ): Promise<number>;
  /**
   * Applies RocksDB's own batch bytes (12 bytes of header, then records), the first `length` of them, with this database's numbers for column families.
   * At most `writeBufferBytes` of the process at once. Puts, merges, deletes and range deletes. Checked whole before anything is applied: `InvalidBatch` changes nothing.
   */
  write(batch: Uint8Array, length: number): void;
  writeAsync(batch: Uint8Array, length: number): Promise<void>;
  /** Sees the database as of its opening, or as of `snapshot`. */
  iterator(columnFamily: number, options: NativeIteratorOptions): NativeIterator;
  snapshot(): NativeSnapshot;
  /**
   * Memtables to files: of all column families, and at one point in the order of writes. When it settles, what was written before the call is in files; so may be
   * something that was written since.
   */
  flush(): Promise<void>;
  /**
   * A directory that must not exist, with hard links to all files that make up the database now. Does not flush: call `flush` before. Gives the
   * file names with their sizes; a file whose name ends in `.sst` is never changed again.
   */
  checkpoint(path: string): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]>;
  /**
   * The files of rows that make up the database now, memtables left out. Each is whole and never changed again; compaction may remove it at any time, so whoever
   * wants to read one links it first.
   */
  liveFiles(): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]>;
  /** `end` is exclusive. `files` also drops whole files that lie inside, which frees space at once. */
  deleteRange(columnFamily: number, start: Uint8Array, end: Uint8Array, options: { readonly files: boolean }): Promise<void>;
  /** Leaves only the keys from `start` on and before `end`. */
  clip(columnFamily: number, start: Uint8Array, end: Uint8Array): Promise<void>;
  ingest(columnFamily: number, files: readonly string[], options: NativeIngestOptions): Promise<void>;
  /** Flushes all column families, then writes this one's files into a directory that must not exist, with hard links where possible; gives what `import` needs. */
  exportColumnFamily(columnFamily: number, path: string): Promise<NativeExport>;
  /**
   * Adds a column family with the content of one or several exports whose keys do not overlap; gives its number. `moveFiles` links the exports' files
   * and then removes them there, instead of copying them.
   */
  importColumnFamily(
    options: NativeColumnFamilyOptions,
    exports: readonly NativeExport[],
    how: { readonly moveFiles: boolean },
  ): Promise<number>;
  /** Its number is not used again. */
  dropColumnFamily(columnFamily: number): Promise<void>;
  compact(columnFamily: number): Promise<void>;
  /**
   * Writes the files that reach into the range anew, on all levels, and no others: what was deleted there is gone afterwards. Nothing to do where no file
   * does. Goes on beside reads and writes, and gives up with `Incomplete` when the database is closed.
   */
  compactRange(columnFamily: number, start: Uint8Array, end: Uint8Array): Promise<void>;
  /** RocksDB's own names: `rocksdb.num-files-at-level0`. Undefined for one that it does not know. */
  property(columnFamily: number, name: string): string | undefined;
  /** Tickers by RocksDB's names (`rocksdb.block.cache.hit`), when opened with statistics. */
  statistics(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export interface NativeIteratorOptions {
  /** Inclusive; from the first key when undefined. */
  readonly lower?: Uint8Array | undefined;
  /** Exclusive. */
  readonly upper?: Uint8Array | undefined;
  readonly snapshot?: NativeSnapshot | undefined;
  readonly keysOnly?: boolean;
  /** False for a scan of much, so that it does not drive out of the cache what others read. True unless said. */
  readonly fillCache?: boolean;
}

export interface NativeIterator {
  /**
   * The next entries, as many as fit, packed into `out`: key, value, key, value; `ends` has two numbers per entry. Gives how many; 0 at the end. An entry that is
   * larger than `out` throws `BufferTooSmall` with `neededBytes`, and is the next one still.
   */
  next(out: Uint8Array, ends: Uint32Array): number;
  close(): void;
}

export interface NativeSnapshot {
  close(): void;
}

interface NativeIngestOptions {
  /** Link the files instead of copying them. They are then the database's. */
  readonly moveFiles: boolean;
  /**
   * The files come out of another database rather than `writeSst`. Such a file is refused unless compaction has put it on the last level (all its sequence
   * numbers are 0), and its keys must be new to this database.
   */
  readonly dbGenerated: boolean;
}

export interface NativeExport {
  readonly path: string;
  /** Opaque, JSON. */
  readonly metadata: string;
}

export type NativeErrorCode =
  | 'InvalidArgument'
  | 'InvalidBatch'
  | 'BufferInUse'
  | 'BufferTooSmall'
  | 'WriterBusy'
  | 'Closed'
  | 'Busy'
  | 'MemoryAlreadyConfigured'
  | 'MemoryLimit'
  | 'NotFound'
  | 'Corruption'
  | 'IOError'
  | 'NoSpace'
  | 'NotSupported'
  | 'Incomplete';
