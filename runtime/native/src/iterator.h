// Iterators and snapshots as JavaScript sees them.
#pragma once
#include <memory>
#include <string>

#include "database.h"
#include "js.h"

namespace flinkjob {

class DatabaseObject;

/** A snapshot lives as long as its object is open or an iterator reads it. */
using SnapshotRef = std::shared_ptr<const rocksdb::Snapshot>;

/** Each pins a block per level, and the memtables and files of its time: more than a few at a time is a mistake. */
constexpr size_t iteratorsMax = 1024;
/** Each keeps compaction from dropping what it can see. */
constexpr size_t snapshotsMax = 1024;

class SnapshotObject {
 public:
  static napi_value Make(napi_env env, DatabaseObject& database);
  static void DefineClass(napi_env env);
  static SnapshotObject* From(napi_env env, napi_value value);

  void End();

  DatabaseObject* database = nullptr;
  SnapshotRef snapshot;
};

class IteratorObject {
 public:
  static napi_value Make(napi_env env, napi_value self, uint64_t columnFamily, napi_value options);
  static void DefineClass(napi_env env);
  static IteratorObject* From(napi_env env, napi_value value);

  /** Gives back what it holds of the database. Doing it again does nothing. */
  void End();
  /** Packs entries; gives how many. */
  size_t Next(Bytes out, Words ends);

  DatabaseObject* database = nullptr;

 private:
  void Open(const ColumnFamilyRef& family);

  napi_ref databaseReference_ = nullptr;
  bool keysOnly_ = false;
  bool fillCache_ = true;
  bool hasLower_ = false;
  bool hasUpper_ = false;
  std::string lower_;
  std::string upper_;
  rocksdb::Slice lowerSlice_;
  rocksdb::Slice upperSlice_;
  // In the order in which they are needed; destroyed in the reverse one.
  SnapshotRef snapshot_;
  ColumnFamilyRef family_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace flinkjob
