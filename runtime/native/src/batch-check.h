// A write batch comes as RocksDB's own bytes, and RocksDB finds some mistakes only after it has applied what stood before them. So the whole batch is
// walked first.
#pragma once
#include <string>
#include <vector>

#include "column-family.h"
#include "js.h"

namespace flinkjob {

/**
 * A copy of `batch` in which column families have RocksDB's ids instead of their numbers here. Throws `InvalidBatch` unless it is what RocksDB will
 * apply whole: known records, whole and as many as the header says, existing column families, merges only where there is an operator.
 */
void CheckedBatch(Bytes batch, const std::vector<ColumnFamily>& families, std::string* checked);

}  // namespace flinkjob
