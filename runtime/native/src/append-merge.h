// The merge operator `append`: operands are put at the value's end, nothing between.
#pragma once
#include <memory>

#include <rocksdb/merge_operator.h>

namespace flinkjob {

std::shared_ptr<rocksdb::MergeOperator> MakeAppendOperator();

}  // namespace flinkjob
