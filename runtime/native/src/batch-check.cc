#include "batch-check.h"

#include <algorithm>
#include <cstring>

#include "memory.h"

namespace flinkjob {

namespace {

/** 8 bytes of sequence number, which RocksDB sets, and 4 of count. */
constexpr size_t headerBytes = 12;

/**
 * Records of RocksDB's WriteBatch that are let through; `k…InFamily` are followed by a column family. Not among them: single deletes, which damage
 * the database when a key was written twice before.
 */
enum Tag : uint8_t {
  kDelete = 0x0,
  kPut = 0x1,
  kMerge = 0x2,
  kDeleteInFamily = 0x4,
  kPutInFamily = 0x5,
  kMergeInFamily = 0x6,
  kDeleteRangeInFamily = 0xE,
  kDeleteRange = 0xF,
};

class BatchReader {
 public:
  BatchReader(Bytes batch, const std::vector<ColumnFamily>& families, std::string* checked)
      : batch_(batch), families_(families), checked_(checked) {}

  void Run() {
    if (batch_.size < headerBytes) Refuse("is shorter than its header of 12 bytes");
    uint32_t count = 0;
    memcpy(&count, batch_.data + 8, sizeof(count));
    position_ = headerBytes;
    copiedTo_ = 0;
    while (position_ < batch_.size) {
      recordAt_ = position_;
      ReadRecord();
      records_++;
    }
    if (records_ != count) {
      Refuse("has " + std::to_string(records_) + " records, and its header says " + std::to_string(count));
    }
    CopyTo(batch_.size);
  }

 private:
  void ReadRecord() {
    const uint8_t tag = batch_.data[position_++];
    switch (tag) {
      case kDelete:
        Family(0);
        Slice();
        return;
      case kDeleteInFamily:
        FamilyOfRecord();
        Slice();
        return;
      case kPut:
        Family(0);
        Slice();
        Slice();
        return;
      case kPutInFamily:
        FamilyOfRecord();
        Slice();
        Slice();
        return;
      case kMerge:
        Merge(Family(0));
        return;
      case kMergeInFamily:
        Merge(FamilyOfRecord());
        return;
      case kDeleteRange:
        Family(0);
        Range();
        return;
      case kDeleteRangeInFamily:
        FamilyOfRecord();
        Range();
        return;
      default:
        Refuse("has the unknown record type " + std::to_string(tag));
    }
  }

  void Merge(const ColumnFamily& family) {
    if (!family.append) Refuse("merges into a column family without a merge operator");
    Slice();
    Slice();
  }

  void Range() {
    const Bytes start = Slice();
    const Bytes end = Slice();
    const int order = memcmp(start.data, end.data, std::min(start.size, end.size));
    if (order > 0 || (order == 0 && start.size > end.size)) Refuse("deletes a range whose end is before its start");
  }

  const ColumnFamily& Family(uint32_t index) {
    if (index >= families_.size() || families_[index].handle == nullptr) {
      Refuse("names column family " + std::to_string(index) + ", which does not exist");
    }
    return families_[index];
  }

  /** Puts RocksDB's id in the place of our number, when they differ: after drops, imports or another order of opening. */
  const ColumnFamily& FamilyOfRecord() {
    const size_t at = position_;
    const uint32_t index = Varint();
    const ColumnFamily& family = Family(index);
    const uint32_t id = family.handle->GetID();
    if (id != index) {
      CopyTo(at);
      copiedTo_ = position_;
      AppendVarint(id);
    }
    return family;
  }

  Bytes Slice() {
    const uint32_t size = Varint();
    if (size > batch_.size - position_) Refuse("ends within a record");
    const Bytes slice{batch_.data + position_, size};
    position_ += size;
    return slice;
  }

  uint32_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift <= 28; shift += 7) {
      if (position_ >= batch_.size) Refuse("ends within a record");
      const uint8_t byte = batch_.data[position_++];
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > UINT32_MAX) break;
        return static_cast<uint32_t>(value);
      }
    }
    Refuse("has a length of more than 32 bits");
  }

  void AppendVarint(uint32_t value) {
    for (; value >= 0x80; value >>= 7) checked_->push_back(static_cast<char>(value | 0x80));
    checked_->push_back(static_cast<char>(value));
  }

  void CopyTo(size_t end) { checked_->append(reinterpret_cast<const char*>(batch_.data) + copiedTo_, end - copiedTo_); }

  [[noreturn]] void Refuse(const std::string& why) const {
    throw NativeError{"InvalidBatch", "the batch " + why + " (record " + std::to_string(records_) + ", at byte " +
                                          std::to_string(recordAt_) + "); nothing of it was applied"};
  }

  const Bytes batch_;
  const std::vector<ColumnFamily>& families_;
  std::string* const checked_;
  size_t position_ = 0;
  size_t copiedTo_ = 0;
  size_t recordAt_ = 0;
  uint32_t records_ = 0;
};

}  // namespace

void CheckedBatch(Bytes batch, const std::vector<ColumnFamily>& families, std::string* checked) {
  if (batch.size > BatchBytesMax()) {
    InvalidArgument("the batch has " + std::to_string(batch.size) + " bytes, more than writeBufferBytes, " +
                    std::to_string(BatchBytesMax()) + ": write it in parts");
  }
  checked->clear();
  checked->reserve(batch.size + 16);
  BatchReader(batch, families, checked).Run();
}

}  // namespace flinkjob
