#include "merge-operators.h"

#include <string>

namespace flinkjob {

using rocksdb::Slice;

namespace {

class AppendOperator : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "flinkjob.AppendOperator"; }

  bool FullMergeV2(const MergeOperationInput& input, MergeOperationOutput* output) const override {
    size_t size = input.existing_value == nullptr ? 0 : input.existing_value->size();
    for (const Slice& operand : input.operand_list) size += operand.size();
    output->new_value.reserve(size);
    if (input.existing_value != nullptr) output->new_value.append(input.existing_value->data(), input.existing_value->size());
    for (const Slice& operand : input.operand_list) output->new_value.append(operand.data(), operand.size());
    return true;
  }

  bool PartialMergeMulti(const Slice&, const std::deque<Slice>& operands, std::string* merged, rocksdb::Logger*) const override {
    size_t size = 0;
    for (const Slice& operand : operands) size += operand.size();
    merged->clear();
    merged->reserve(size);
    for (const Slice& operand : operands) merged->append(operand.data(), operand.size());
    return true;
  }
};

class RefusingOperator : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "flinkjob.RefusingOperator"; }
  bool FullMergeV2(const MergeOperationInput&, MergeOperationOutput*) const override { return false; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> MakeRefusingOperator() { return std::make_shared<RefusingOperator>(); }

std::shared_ptr<rocksdb::MergeOperator> MakeAppendOperator() { return std::make_shared<AppendOperator>(); }

}  // namespace flinkjob
