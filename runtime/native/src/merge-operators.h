// How merge operands become values.
#pragma once
#include <memory>

#include <rocksdb/merge_operator.h>

namespace flinkjob {

/** Operands are put at the value's end, nothing between. */
std::shared_ptr<rocksdb::MergeOperator> MakeAppendOperator();

/**
 * For column families without merges. Files from elsewhere, or of an opening with another operator, can hold operands all the same; where RocksDB finds no
 * operator then, it crashes, and with this one the read fails with `Corruption`.
 */
std::shared_ptr<rocksdb::MergeOperator> MakeRefusingOperator();

}  // namespace flinkjob
