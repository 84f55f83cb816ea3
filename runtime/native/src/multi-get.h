// Reading many keys at once: sorted, in small groups, so that few blocks are pinned at a time.
#pragma once
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "database.h"
#include "js.h"

namespace flinkjob {

/** Keys that RocksDB reads at once, each pinning one block of the cache until its value is copied. RocksDB itself goes in groups of 32. */
constexpr size_t pinnedKeysMax = 128;
/** Memory for values that is kept for the next call. */
constexpr size_t scratchKeptBytes = 8 << 20;

class MultiGet {
 public:
  MultiGet() = default;
  MultiGet(const MultiGet&) = delete;
  ~MultiGet() { free(bytes_); }

  /** Checks `ends` and takes the keys over: `keys` must stay until `Read` has run, `ends` need not. */
  void SetKeys(Bytes keys, Words ends, size_t count);
  /** Throws what RocksDB says other than that a key is not there. */
  void Read(Database& database, rocksdb::ColumnFamilyHandle* family, const rocksdb::Snapshot* snapshot);
  /** Results in the order of the keys as they were given. `values` gets them only when they fit. Gives the bytes of all. */
  size_t Emit(Bytes values, Words valueEnds, Bytes found) const;
  /** After `Emit`. */
  void ReleaseScratch();

 private:
  struct Key {
    /** The first eight bytes, so that most comparisons need no more. */
    uint64_t prefix;
    uint32_t index;
    uint32_t size;
    const uint8_t* data;
  };
  struct Value {
    uint32_t at;
    uint32_t size;
    bool found;
  };

  static bool IsBefore(const Key& one, const Key& other);
  void Keep(const Key& key, const rocksdb::Slice& value);

  std::vector<Key> keys_;
  std::vector<rocksdb::Slice> slices_;
  std::vector<rocksdb::PinnableSlice> pinned_;
  std::vector<rocksdb::Status> statuses_;
  std::vector<Value> values_;
  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace flinkjob
