// What a column family is opened with.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "js.h"
#include "ttl-filter.h"

namespace flinkjob {

/** `NativeColumnFamilyOptions`, read. */
struct ColumnFamilySpec {
  std::string name;
  size_t writeBufferBytes;
  size_t blockSizeBytes;
  bool compress;
  double bloomBitsPerKey;
  bool append;
  std::vector<TtlRule> ttl;
};

/** Handles are shared by the calls that use them, so that dropping a column family ends it when the last call has. */
using ColumnFamilyRef = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

struct ColumnFamily {
  /** Null once it is dropped; its number is not used again. */
  ColumnFamilyRef handle;
  bool append = false;
};

/** Column families of one database; a state each is the largest use. */
constexpr uint32_t columnFamiliesMax = 1024;

ColumnFamilySpec ReadColumnFamilySpec(napi_env env, napi_value value);
rocksdb::ColumnFamilyOptions MakeColumnFamilyOptions(const ColumnFamilySpec& spec);

}  // namespace flinkjob
