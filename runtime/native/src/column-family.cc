#include "column-family.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "memory.h"
#include "merge-operators.h"

namespace flinkjob {

namespace {

constexpr size_t gibibyte = 1 << 30;

std::string ReadChoice(napi_env env, napi_value object, const char* name, const char* one, const char* other) {
  const std::string choice = ReadName(env, ReadProperty(env, object, name), name);
  if (choice != one && choice != other) InvalidArgument(std::string(name) + " must be '" + one + "' or '" + other + "', not '" + choice + "'");
  return choice;
}

rocksdb::BlockBasedTableOptions MakeTableOptions(const ColumnFamilySpec& spec) {
  using Options = rocksdb::BlockBasedTableOptions;
  Options options;
  options.block_cache = BlockCache();
  options.block_size = spec.blockSizeBytes;
  // 6, the default: 7 only adds compressors of one's own, and RocksDB advises against leading its default.
  options.format_version = 6;
  options.data_block_index_type = Options::kDataBlockBinaryAndHash;
  // Small entries make files of millions of keys. One filter or index block for all of them has megabytes: it outgrows a shard of the cache and is
  // read again for every key. In partitions of a few kilobytes, under a small pinned top level, a miss costs one small read.
  options.index_type = Options::kTwoLevelIndexSearch;
  options.partition_filters = true;
  options.decouple_partitioned_filters = true;
  options.cache_index_and_filter_blocks = true;
  options.cache_index_and_filter_blocks_with_high_priority = true;
  options.metadata_cache_options.top_level_index_pinning = rocksdb::PinningTier::kAll;
  options.metadata_cache_options.partition_pinning = rocksdb::PinningTier::kNone;
  options.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
  if (spec.bloomBitsPerKey > 0) {
    options.filter_policy.reset(rocksdb::NewBloomFilterPolicy(spec.bloomBitsPerKey));
    options.optimize_filters_for_memory = true;
  }
  return options;
}

std::vector<TtlRule> ReadTtlRules(napi_env env, napi_value value) {
  std::vector<TtlRule> rules;
  for (napi_value element : ReadArray(env, value, "ttl", 4096)) {
    const size_t offset = ReadInteger(env, ReadProperty(env, element, "keyOffset"), "ttl.keyOffset", 65535);
    rules.push_back({offset, ReadBytesCopy(env, ReadProperty(env, element, "keyBytes"), "ttl.keyBytes")});
  }
  return rules;
}

}  // namespace

ColumnFamilySpec ReadColumnFamilySpec(napi_env env, napi_value value) {
  const auto read = [&](const char* name) { return ReadProperty(env, value, name); };
  ColumnFamilySpec spec;
  spec.name = ReadName(env, read("name"), "name");
  spec.writeBufferBytes = ReadInteger(env, read("writeBufferBytes"), "writeBufferBytes", 4 * gibibyte);
  spec.blockSizeBytes = ReadInteger(env, read("blockSizeBytes"), "blockSizeBytes", 1 << 20);
  spec.compress = ReadChoice(env, value, "compression", "lz4", "none") == "lz4";
  spec.bloomBitsPerKey = static_cast<double>(ReadInteger(env, read("bloomBitsPerKey"), "bloomBitsPerKey", 64));
  spec.append = ReadChoice(env, value, "mergeOperator", "append", "none") == "append";
  spec.ttl = ReadTtlRules(env, read("ttl"));
  if (spec.writeBufferBytes < 65536) InvalidArgument("writeBufferBytes must be at least 65536");
  if (spec.blockSizeBytes < 1024) InvalidArgument("blockSizeBytes must be at least 1024");
  return spec;
}

rocksdb::ColumnFamilyOptions MakeColumnFamilyOptions(const ColumnFamilySpec& spec) {
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(MakeTableOptions(spec)));
  options.compression = spec.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  options.write_buffer_size = spec.writeBufferBytes;
  // Memory is bounded for the process (memory.cc), so a slow flush need not stop writes at the second memtable.
  options.max_write_buffer_number = 4;
  if (spec.bloomBitsPerKey > 0) {
    // Most keys that are read are in no memtable, and its skip list is the dearest place to find that out. The filter is there from the first
    // write on, so it is small: with many column families it is many times.
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.01;
  }
  options.merge_operator = spec.append ? MakeAppendOperator() : MakeRefusingOperator();
  if (!spec.ttl.empty()) options.compaction_filter_factory = MakeTtlFilterFactory(spec.ttl);
  return options;
}

}  // namespace flinkjob
