// One open RocksDB, without anything of JavaScript. Its column families are changed by one thread, the one whose JavaScript opened it.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/statistics.h>

#include "column-family.h"

namespace flinkjob {

struct OpenSpec {
  std::string path;
  bool createIfMissing;
  std::vector<ColumnFamilySpec> columnFamilies;
  int maxOpenFiles;
  int maxBackgroundJobs;
  bool statistics;
};

/** A file of a checkpoint, or of the database. */
struct FileFacts {
  std::string name;
  uint64_t sizeBytes;
};

class Database {
 public:
  /** Throws. On a thread of a lane: opening reads files. */
  static std::shared_ptr<Database> Open(const OpenSpec& spec);
  Database(const Database&) = delete;
  ~Database() { Close(); }

  /** Waits for background work. Iterators, snapshots and the calls' handles must be gone. Doing it again does nothing. */
  void Close();

  rocksdb::DB& db() { return *db_; }
  const rocksdb::WriteOptions& writeOptions() const { return writeOptions_; }
  rocksdb::Statistics* statistics() const { return statistics_.get(); }

  /** Throws `InvalidArgument` for a number that was never given, `NotFound` for one that was dropped. */
  const ColumnFamily& Family(uint64_t index) const;
  const std::vector<ColumnFamily>& families() const { return families_; }
  /** Gives its number. */
  size_t AddFamily(ColumnFamilyRef handle, bool append);
  /** Forgets its handle. */
  void ForgetFamily(size_t index);
  /** Makes a handle that is given back to RocksDB when nobody uses it any more. */
  ColumnFamilyRef Own(rocksdb::ColumnFamilyHandle* handle);

  /** Bytes in memtables that no flush has begun to write. From any thread. */
  uint64_t UnflushedBytes();
  /** Of all column families, atomically. From any thread while the database is not being closed. */
  rocksdb::Status FlushMemtables(bool wait);
  /** Flushes and compactions give up soon, also those that somebody waits for. */
  void CancelBackgroundWork();

  void Checkpoint(const std::string& path, std::vector<FileFacts>* files);
  /** Files of rows that make up the database now; each is whole and never changed again. */
  std::vector<FileFacts> LiveFiles();
  void DeleteRange(const ColumnFamilyRef& family, const std::string& start, const std::string& end, bool files);
  void Clip(const ColumnFamilyRef& family, const std::string& start, const std::string& end);
  void Compact(const ColumnFamilyRef& family);
  /** Of the files that reach into the range, and of no others. */
  void CompactRange(const ColumnFamilyRef& family, const std::string& start, const std::string& end);
  /** Those under way give up soon, later ones at once. From any thread; waits for nothing. */
  void CancelRangeCompactions() { rangeCompactionsCanceled_ = true; }

 private:
  Database() = default;
  std::vector<rocksdb::ColumnFamilyHandle*> Handles(std::vector<ColumnFamilyRef>* kept);

  std::string lockedPath_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions writeOptions_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  /** Guards `families_` against a flush by another thread. */
  std::atomic<bool> rangeCompactionsCanceled_ = false;
  std::mutex familiesMutex_;
  std::vector<ColumnFamily> families_;
};

/** Removes the files of a database; throws `Busy` while this process has it open. */
void DestroyDatabase(const std::string& path);

}  // namespace flinkjob
