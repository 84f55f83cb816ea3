#include "memory.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <rocksdb/advanced_cache.h>

#include "database.h"
#include "errors.h"

namespace flinkjob {

namespace {

constexpr size_t mebibyte = 1 << 20;
/** Below this a shard has no room for a few large blocks, index and filter partitions and the memtables' reservations. */
constexpr size_t capacityBytesMin = 4 * mebibyte;
/** A shard is capped by itself, so it must be large compared with what one key's neighbours can pin in it. */
constexpr size_t shardBytesMin = 32 * mebibyte;
constexpr int shardBitsMax = 4;

struct ProcessMemory {
  std::mutex mutex;
  std::condition_variable changed;
  size_t capacityBytes = 0;
  size_t writeBufferBytes = 0;
  size_t shardBytes = 0;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> memtables;
  /** Open databases of all threads, with how many threads are flushing each to make room. */
  std::map<Database*, int> databases;
};

/** Never deleted: RocksDB's threads use it until the process ends. */
ProcessMemory& Memory() {
  static ProcessMemory* const memory = new ProcessMemory();
  return *memory;
}

int ShardBits(size_t capacityBytes) {
  int shardBits = 0;
  while (shardBits < shardBitsMax && (capacityBytes >> (shardBits + 1)) >= shardBytesMin) shardBits++;
  return shardBits;
}

/**
 * LRU rather than HyperClockCache: with the strict cap it evicts exactly as much as is needed, where the clock gives up after some effort and fails
 * the read; and it keeps index and filter partitions in a pool of their own. Its lock is no cost with a task thread per core.
 */
std::shared_ptr<rocksdb::Cache> MakeCache(size_t capacityBytes, int shardBits) {
  rocksdb::LRUCacheOptions options;
  options.capacity = capacityBytes;
  options.num_shard_bits = shardBits;
  options.strict_capacity_limit = true;
  // Half for index and filter partitions, before data blocks: each read needs them.
  options.high_pri_pool_ratio = 0.5;
  options.metadata_charge_policy = rocksdb::kFullChargeCacheMetadata;
  return options.MakeSharedCache();
}

/**
 * Memtables come in pieces of up to a mebibyte and go all at once. glibc takes such pieces out of the heap that cached blocks are in, as soon as one of that
 * size was freed; blocks then settle in the holes, and the next memtable needs new memory. Measured with a cap of 124 MiB: 60 MiB resident for nothing.
 * So large pieces always get a mapping of their own, which goes back to the system when it is freed. And threads share a few heaps: each would keep what
 * its busiest moment took.
 */
void ShapeAllocator() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  mallopt(M_ARENA_MAX, 4);
#endif
}

/** The database with the most memtable bytes that is not in `passedOver`, counted as used until `Release`. Null when none holds anything. */
Database* AcquireLargest(ProcessMemory& memory, const std::set<Database*>& passedOver) {
  std::lock_guard<std::mutex> lock(memory.mutex);
  Database* largest = nullptr;
  uint64_t largestBytes = 0;
  for (const auto& entry : memory.databases) {
    const uint64_t bytes = passedOver.contains(entry.first) ? 0 : entry.first->UnflushedBytes();
    if (bytes > largestBytes) {
      largest = entry.first;
      largestBytes = bytes;
    }
  }
  if (largest != nullptr) memory.databases[largest]++;
  return largest;
}

void Release(ProcessMemory& memory, Database* database) {
  std::lock_guard<std::mutex> lock(memory.mutex);
  memory.databases[database]--;
  memory.changed.notify_all();
}

/** False when there was nothing to flush. A database that cannot be flushed is passed over from then on, unless it is the writer's. */
bool FlushLargest(ProcessMemory& memory, Database& writer, std::set<Database*>& passedOver, bool wait) {
  Database* const largest = AcquireLargest(memory, passedOver);
  if (largest == nullptr) return false;
  const rocksdb::Status status = largest->FlushMemtables(wait);
  Release(memory, largest);
  if (largest == &writer) {
    CheckStatus(status, "flush of memtables to make room");
  } else if (!status.ok()) {
    passedOver.insert(largest);
  }
  return true;
}

}  // namespace

void ConfigureMemory(size_t capacityBytes, size_t writeBufferBytes) {
  if (capacityBytes < capacityBytesMin) {
    InvalidArgument("capacityBytes must be at least " + std::to_string(capacityBytesMin));
  }
  if (writeBufferBytes == 0 || writeBufferBytes > capacityBytes / 2) {
    InvalidArgument("writeBufferBytes must be from 1 to half of capacityBytes: memtables can take half as much again while they are flushed");
  }
  ProcessMemory& memory = Memory();
  std::lock_guard<std::mutex> lock(memory.mutex);
  if (memory.cache != nullptr) {
    if (memory.capacityBytes == capacityBytes && memory.writeBufferBytes == writeBufferBytes) return;
    throw NativeError{"MemoryAlreadyConfigured", "this process has capacityBytes " + std::to_string(memory.capacityBytes) +
                                                     " and writeBufferBytes " + std::to_string(memory.writeBufferBytes) + " already"};
  }
  ShapeAllocator();
  const int shardBits = ShardBits(capacityBytes);
  memory.cache = MakeCache(capacityBytes, shardBits);
  memory.shardBytes = capacityBytes >> shardBits;
  memory.memtables = std::make_shared<rocksdb::WriteBufferManager>(writeBufferBytes, memory.cache, /*allow_stall=*/false);
  memory.capacityBytes = capacityBytes;
  memory.writeBufferBytes = writeBufferBytes;
}

std::shared_ptr<rocksdb::Cache> BlockCache() {
  ProcessMemory& memory = Memory();
  std::lock_guard<std::mutex> lock(memory.mutex);
  if (memory.cache == nullptr) InvalidArgument("configureMemory must be called before the first database is opened");
  return memory.cache;
}

std::shared_ptr<rocksdb::WriteBufferManager> Memtables() {
  BlockCache();
  return Memory().memtables;
}

MemoryUsage CurrentMemoryUsage() {
  const std::shared_ptr<rocksdb::Cache> cache = BlockCache();
  const std::shared_ptr<rocksdb::WriteBufferManager> memtables = Memtables();
  const size_t reserved = memtables->dummy_entries_in_cache_usage();
  const size_t used = cache->GetUsage();
  const ProcessMemory& memory = Memory();
  return {cache->GetCapacity(),     used, used - std::min(used, reserved), cache->GetPinnedUsage(), memtables->memory_usage(),
          memory.shardBytes, memory.writeBufferBytes};
}

void AddToMemory(Database* database) {
  ProcessMemory& memory = Memory();
  std::lock_guard<std::mutex> lock(memory.mutex);
  memory.databases.emplace(database, 0);
}

void RemoveFromMemory(Database* database) {
  ProcessMemory& memory = Memory();
  std::unique_lock<std::mutex> lock(memory.mutex);
  memory.changed.wait(lock, [&] { return memory.databases[database] == 0; });
  memory.databases.erase(database);
}

size_t BatchBytesMax() { return Memory().writeBufferBytes; }

void MakeRoomForWrite(Database& writer, size_t batchBytes) {
  ProcessMemory& memory = Memory();
  const rocksdb::WriteBufferManager& memtables = *memory.memtables;
  const size_t target = memory.writeBufferBytes;
  std::set<Database*> passedOver;
  // RocksDB's limits are 7/8, and half when flushing is behind.
  if (memtables.mutable_memtable_memory_usage() > target / 4 * 3) FlushLargest(memory, writer, passedOver, /*wait=*/false);
  // Each turn flushes something, passes over one or ends: a memtable that an iterator still reads keeps its bytes, and cannot be waited for.
  while (memtables.memory_usage() + batchBytes > target + target / 2 && FlushLargest(memory, writer, passedOver, /*wait=*/true)) {
  }
}

void CancelBackgroundWorkOfAll() {
  ProcessMemory& memory = Memory();
  std::lock_guard<std::mutex> lock(memory.mutex);
  for (const auto& entry : memory.databases) entry.first->CancelBackgroundWork();
}

}  // namespace flinkjob
