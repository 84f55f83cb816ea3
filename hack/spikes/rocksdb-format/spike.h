// What all measurements share: keys and values that can be recomputed for checking, options under one strict memory cap, and meters.
#pragma once
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rocksdb/advanced_cache.h"
#include "rocksdb/cache.h"
#include "rocksdb/compaction_filter.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/merge_operator.h"
#include "rocksdb/metadata.h"
#include "rocksdb/options.h"
#include "rocksdb/sst_file_writer.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/checkpoint.h"
#include "rocksdb/write_batch.h"
#include "rocksdb/write_buffer_manager.h"

namespace spike {

using namespace rocksdb;
namespace fs = std::filesystem;

constexpr uint32_t keyGroupCount = 128;

inline void check(const Status& status, const char* what) {
  if (!status.ok()) {
    fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
    exit(1);
  }
}

inline void require(bool condition, const char* what) {
  if (!condition) {
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
  }
}

inline uint64_t mix(uint64_t x) {
  x ^= x >> 33; x *= 0xff51afd7ed558ccdULL; x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53ULL; return x ^ (x >> 33);
}

inline void putU16(std::string& out, uint32_t v) { out.push_back(char(v >> 8)); out.push_back(char(v)); }
inline void putU64(std::string& out, uint64_t v) { for (int s = 56; s >= 0; s -= 8) out.push_back(char(v >> s)); }
inline uint64_t getU64(const char* p) { uint64_t v = 0; for (int i = 0; i < 8; i++) v = v << 8 | uint8_t(p[i]); return v; }
inline uint32_t keyGroupOf(uint64_t id) { return uint32_t(mix(id * 31 + 7) % keyGroupCount); }

// About half compressible, recomputable from the seed.
inline void fillValue(std::string& out, uint64_t seed, size_t size) {
  out.clear();
  while (out.size() < size / 2) { seed = mix(seed + 1); out.append(reinterpret_cast<const char*>(&seed), std::min<size_t>(8, size / 2 - out.size())); }
  out.resize(size, 'x');
}

inline size_t fromEnvironment(const char* name, size_t otherwise) {
  const char* text = getenv(name);
  return text ? strtoull(text, nullptr, 10) : otherwise;
}

struct Memory {
  std::shared_ptr<Cache> cache;
  std::shared_ptr<WriteBufferManager> buffers;
  explicit Memory(size_t capacityBytes, size_t writeBufferBytes) {
    LRUCacheOptions options;
    options.capacity = capacityBytes;
    options.strict_capacity_limit = true;
    // A block larger than a shard cannot be read at all under a strict limit: few shards, none below 64 MB.
    for (options.num_shard_bits = 0; options.num_shard_bits < 4 && capacityBytes >> (options.num_shard_bits + 1) >= (64 << 20);) options.num_shard_bits++;
    options.num_shard_bits = int(fromEnvironment("SHARD_BITS", size_t(options.num_shard_bits)));
    options.high_pri_pool_ratio = 0.2;
    cache = options.MakeSharedCache();
    buffers = std::make_shared<WriteBufferManager>(writeBufferBytes, cache);
  }
};


inline DBOptions databaseOptions(const Memory& memory, std::shared_ptr<Statistics> statistics = nullptr) {
  DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.max_open_files = int(fromEnvironment("OPEN_FILES", 1000));
  options.info_log_level = WARN_LEVEL;
  options.write_buffer_manager = memory.buffers;
  options.statistics = statistics;
  return options;
}

inline ColumnFamilyOptions familyOptions(const Memory& memory, size_t writeBufferBytes = 64 << 20) {
  ColumnFamilyOptions options;
  options.write_buffer_size = fromEnvironment("WRITE_BUFFER", writeBufferBytes);
  options.max_write_buffer_number = 3;
  options.compression = kLZ4Compression;
  options.level_compaction_dynamic_level_bytes = true;
  BlockBasedTableOptions table;
  table.block_cache = memory.cache;
  table.block_size = fromEnvironment("BLOCK_SIZE", 4096);
  table.format_version = 6;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = false;
  table.index_type = BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4096;
  table.optimize_filters_for_memory = true;
  if (size_t bits = fromEnvironment("BLOOM_BITS", 10)) {
    table.filter_policy.reset(NewBloomFilterPolicy(double(bits), false));
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.02;
  }
  options.table_factory.reset(NewBlockBasedTableFactory(table));
  return options;
}

struct Database {
  std::unique_ptr<DB> db;
  std::vector<ColumnFamilyHandle*> families;
  Database() = default;
  Database(Database&&) = default;
  Database& operator=(Database&&) = default;
  ~Database() { close(); }
  void close() {
    if (!db) return;
    for (auto* family : families) check(db->DestroyColumnFamilyHandle(family), "destroy handle");
    families.clear();
    check(db->Close(), "close");
    db.reset();
  }
};

inline Database openDatabase(const std::string& path, const DBOptions& options, const ColumnFamilyOptions& family, std::vector<std::string> names) {
  std::vector<ColumnFamilyDescriptor> descriptors{{"default", family}};
  for (auto& name : names) descriptors.emplace_back(name, family);
  Database database;
  DB* raw = nullptr;
  check(DB::Open(options, path, descriptors, &database.families, &raw), "open");
  database.db.reset(raw);
  return database;
}

inline WriteOptions withoutLog() { WriteOptions options; options.disableWAL = true; return options; }

inline double seconds(clockid_t clock) { timespec t; clock_gettime(clock, &t); return double(t.tv_sec) + double(t.tv_nsec) / 1e9; }

inline uint64_t procValue(const char* file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  while (in >> word) if (word == name) { uint64_t v; in >> v; return v; }
  return 0;
}

inline double rssMb() { return double(procValue("/proc/self/status", "VmRSS:")) / 1024; }
inline double peakRssMb() { return double(procValue("/proc/self/status", "VmHWM:")) / 1024; }

// Wall time, CPU of this thread and of the whole process, and bytes given to the file system since it was made.
struct Meter {
  double wall = seconds(CLOCK_MONOTONIC), own = seconds(CLOCK_THREAD_CPUTIME_ID), all = seconds(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t written = procValue("/proc/self/io", "wchar:"), read = procValue("/proc/self/io", "rchar:");
  double wallS() const { return seconds(CLOCK_MONOTONIC) - wall; }
  double ownS() const { return seconds(CLOCK_THREAD_CPUTIME_ID) - own; }
  double allS() const { return seconds(CLOCK_PROCESS_CPUTIME_ID) - all; }
  void print(const char* what, double operations = 0) const {
    double w = wallS(), o = ownS(), a = allS();
    printf("  %-46s wall %7.2f s  thread %7.2f  process %7.2f CPU-s  wrote %7.0f MB  read %7.0f MB", what, w, o, a,
           double(procValue("/proc/self/io", "wchar:") - written) / 1e6, double(procValue("/proc/self/io", "rchar:") - read) / 1e6);
    if (operations > 0) printf("  %7.0f k/CPU-s (process %.0f)", operations / o / 1e3, operations / a / 1e3);
    printf("\n");
    fflush(stdout);
  }
};

// The bytes of a directory that no other directory shares, the bytes it shares, and its tables.
struct DirectoryUse {
  uint64_t ownBytes = 0, linkedBytes = 0;
  int tables = 0, linkedTables = 0;
  explicit DirectoryUse(const std::string& path) {
    for (auto& entry : fs::recursive_directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      struct stat info;
      if (stat(entry.path().c_str(), &info) != 0) continue;
      bool table = entry.path().extension() == ".sst";
      (info.st_nlink > 1 ? linkedBytes : ownBytes) += uint64_t(info.st_size);
      tables += table;
      linkedTables += table && info.st_nlink > 1;
    }
  }
};

inline std::string property(DB* db, ColumnFamilyHandle* family, const char* name) {
  std::string value;
  db->GetProperty(family, name, &value);
  return value;
}

inline uint64_t number(DB* db, ColumnFamilyHandle* family, const char* name) {
  uint64_t value = 0;
  db->GetIntProperty(family, name, &value);
  return value;
}

// Appends operands to the value, nothing between.
struct AppendOperator : MergeOperator {
  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    size_t size = in.existing_value ? in.existing_value->size() : 0;
    for (auto& operand : in.operand_list) size += operand.size();
    out->new_value.clear();
    out->new_value.reserve(size);
    if (in.existing_value) out->new_value.append(in.existing_value->data(), in.existing_value->size());
    for (auto& operand : in.operand_list) out->new_value.append(operand.data(), operand.size());
    return true;
  }
  bool PartialMergeMulti(const Slice&, const std::deque<Slice>& operands, std::string* out, Logger*) const override {
    out->clear();
    for (auto& operand : operands) out->append(operand.data(), operand.size());
    return true;
  }
  const char* Name() const override { return "append"; }
};

int rescale(const std::string& work, int argc, char** argv);
int layout(const std::string& work, int argc, char** argv);
int lists(const std::string& work, int argc, char** argv);
int timers(const std::string& work, int argc, char** argv);
int order(const std::string& work, int argc, char** argv);

}  // namespace spike
