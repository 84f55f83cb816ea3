// Entries that expire: compaction drops those whose time has come.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/compaction_filter.h>

namespace flinkjob {

/** Entries whose key has `keyBytes` at `keyOffset` begin their value with the time of their death: 8 bytes little-endian, 0 for never. */
struct TtlRule {
  size_t keyOffset;
  std::string keyBytes;
};

/** Milliseconds since the epoch, for all databases of the process. Until it is set nothing expires. */
void SetTtlNow(int64_t nowMs);

std::shared_ptr<rocksdb::CompactionFilterFactory> MakeTtlFilterFactory(std::vector<TtlRule> rules);

}  // namespace flinkjob
