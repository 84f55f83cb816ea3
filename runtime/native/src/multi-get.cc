#include "multi-get.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace flinkjob {

bool MultiGet::IsBefore(const Key& one, const Key& other) {
  if (one.prefix != other.prefix) return one.prefix < other.prefix;
  const int order = memcmp(one.data, other.data, std::min(one.size, other.size));
  return order != 0 ? order < 0 : one.size < other.size;
}

void MultiGet::SetKeys(Bytes keys, Words ends, size_t count) {
  keys_.resize(count);
  uint32_t start = 0;
  for (size_t index = 0; index < count; index++) {
    const uint32_t end = ends.data[index];
    if (end < start || end > keys.size) {
      InvalidArgument("keyEnds[" + std::to_string(index) + "] is " + std::to_string(end) + ": ends ascend, and `keys` has " +
                      std::to_string(keys.size) + " bytes");
    }
    Key& key = keys_[index];
    // An empty key of an empty buffer has no address either; RocksDB compares it all the same.
    key.data = keys.data == nullptr ? reinterpret_cast<const uint8_t*>("") : keys.data + start;
    key.size = end - start;
    key.index = static_cast<uint32_t>(index);
    key.prefix = 0;
    memcpy(&key.prefix, key.data, std::min<size_t>(sizeof(key.prefix), key.size));
    key.prefix = __builtin_bswap64(key.prefix);
    start = end;
  }
  if (!std::is_sorted(keys_.begin(), keys_.end(), IsBefore)) std::sort(keys_.begin(), keys_.end(), IsBefore);
}

void MultiGet::Read(Database& database, rocksdb::ColumnFamilyHandle* family, const rocksdb::Snapshot* snapshot) {
  const size_t group = std::min(pinnedKeysMax, keys_.size());
  slices_.resize(group);
  statuses_.resize(group);
  if (pinned_.size() < group) pinned_ = std::vector<rocksdb::PinnableSlice>(group);
  values_.resize(keys_.size());
  size_ = 0;
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  rocksdb::Status failure;
  for (size_t begin = 0; begin < keys_.size() && failure.ok(); begin += group) {
    const size_t count = std::min(group, keys_.size() - begin);
    for (size_t at = 0; at < count; at++) {
      const Key& key = keys_[begin + at];
      slices_[at] = rocksdb::Slice(reinterpret_cast<const char*>(key.data), key.size);
    }
    database.db().MultiGet(options, family, count, slices_.data(), pinned_.data(), statuses_.data(), /*sorted_input=*/true);
    for (size_t at = 0; at < count; at++) {
      const Key& key = keys_[begin + at];
      if (statuses_[at].ok() && size_ + pinned_[at].size() <= UINT32_MAX) {
        Keep(key, pinned_[at]);
      } else {
        values_[key.index] = {0, 0, false};
        if (statuses_[at].ok()) statuses_[at] = rocksdb::Status::InvalidArgument("the values have 4 GiB or more; ask for fewer keys");
        if (!statuses_[at].IsNotFound() && failure.ok()) failure = statuses_[at];
      }
      // At once: a pinned block counts against the cap, and must not outlive the database.
      pinned_[at].Reset();
    }
  }
  CheckStatus(failure, "multiGet");
}

void MultiGet::Keep(const Key& key, const rocksdb::Slice& value) {
  if (size_ + value.size() > capacity_) {
    const size_t capacity = std::max({size_ + value.size(), capacity_ * 2, size_t{4096}});
    void* const grown = realloc(bytes_, capacity);
    if (grown == nullptr) throw std::bad_alloc();
    bytes_ = static_cast<uint8_t*>(grown);
    capacity_ = capacity;
  }
  if (value.size() > 0) memcpy(bytes_ + size_, value.data(), value.size());
  values_[key.index] = {static_cast<uint32_t>(size_), static_cast<uint32_t>(value.size()), true};
  size_ += value.size();
}

size_t MultiGet::Emit(Bytes values, Words valueEnds, Bytes found) const {
  const bool fits = size_ <= values.size;
  uint32_t end = 0;
  for (size_t index = 0; index < values_.size(); index++) {
    const Value& value = values_[index];
    if (fits && value.size > 0) memcpy(values.data + end, bytes_ + value.at, value.size);
    end += value.size;
    valueEnds.data[index] = end;
    found.data[index] = value.found ? 1 : 0;
  }
  return size_;
}

void MultiGet::ReleaseScratch() {
  if (capacity_ <= scratchKeptBytes) return;
  free(bytes_);
  bytes_ = nullptr;
  capacity_ = 0;
}

}  // namespace flinkjob
