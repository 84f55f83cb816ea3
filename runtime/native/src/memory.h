// The one memory of the process: a block cache with a strict cap, and the memtables of all databases charged to it.
//
// What counts against the cap: data blocks, index and filter partitions and their top levels, memtables (as reservations of 256 KiB). What does
// not, and what bounds it:
//   - the reader of an open file and what is known of a file: some kilobytes, `maxOpenFiles` of a database at a time. RocksDB can charge them, but
//     then a full cache fails the very flush that would make room, and a failed charge leaves its queue of manifest writers stuck for ever;
//   - an iterator: one block of each level and at most 256 KiB of readahead for each file it is in; `iteratorsMax` for each database;
//   - a compaction: 2 MiB of readahead for each input file, one output block and its filter partition, for each of the process's few
//     background jobs;
//   - multiGet: a copy of the values it gives back, kept for the next call up to `scratchKeptBytes`; it pins `pinnedKeysMax` blocks at once;
//   - write: a copy of the batch, at most `BatchBytesMax()`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/write_buffer_manager.h>

namespace flinkjob {

class Database;

struct MemoryUsage {
  size_t capacityBytes;
  size_t usedBytes;
  size_t blockCacheBytes;
  size_t pinnedBytes;
  size_t memtableBytes;
  /** The cache is that many caches, each with its share of the cap: what is larger than one cannot be read. */
  size_t shardBytes;
  size_t writeBufferBytes;
};

/** Throws `MemoryAlreadyConfigured` when it was done before with other values. */
void ConfigureMemory(size_t capacityBytes, size_t writeBufferBytes);
MemoryUsage CurrentMemoryUsage();

/** Throws `InvalidArgument` when the memory was not configured. */
std::shared_ptr<rocksdb::Cache> BlockCache();
std::shared_ptr<rocksdb::WriteBufferManager> Memtables();

/** A database whose memtables count takes part in making room. */
void AddToMemory(Database* database);
/** Returns when nobody uses `database` for making room any more. */
void RemoveFromMemory(Database* database);

/**
 * Before each write of `writer`. RocksDB flushes a database when all memtables together are too large, but only the one that is written to: one that
 * holds most of the memory and rests would make every other flush after each small batch. So the largest is flushed here, before RocksDB's limit,
 * and when flushing does not keep up the writer waits for it. (RocksDB's own stall would wait for ever when the disk is full.) Throws why the writer's
 * own database cannot be flushed; that of another is that one's trouble.
 */
void MakeRoomForWrite(Database& writer, size_t batchBytes);

/** A larger batch is refused: it would be more than all memtables together are to have. */
size_t BatchBytesMax();

/** At the process's end: what runs in the background of any database gives up soon. */
void CancelBackgroundWorkOfAll();

}  // namespace flinkjob
