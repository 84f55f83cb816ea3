#include "database.h"

#include <climits>
#include <cstdlib>
#include <set>

#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/utilities/checkpoint.h>

#include "memory.h"

namespace flinkjob {

using rocksdb::Status;

namespace {

/** Paths of the databases that this process has open or is removing. RocksDB's LOCK file keeps other processes out. */
struct OpenPaths {
  std::mutex mutex;
  std::set<std::string> paths;
};

OpenPaths& Paths() {
  static OpenPaths* const paths = new OpenPaths();
  return *paths;
}

/** One spelling for a directory that may not exist yet. */
std::string Canonical(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) != nullptr) return resolved;
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (end == std::string::npos || realpath(parent.c_str(), resolved) == nullptr) return path;
  return std::string(resolved) + "/" + path.substr(slash == std::string::npos ? 0 : slash + 1, end - slash);
}

void LockPath(const std::string& path) {
  OpenPaths& open = Paths();
  std::lock_guard<std::mutex> lock(open.mutex);
  if (!open.paths.insert(path).second) {
    throw NativeError{"Busy", path + " is open in this process already, or is being removed"};
  }
}

void UnlockPath(const std::string& path) {
  OpenPaths& open = Paths();
  std::lock_guard<std::mutex> lock(open.mutex);
  open.paths.erase(path);
}

rocksdb::DBOptions MakeOptions(const OpenSpec& spec, std::shared_ptr<rocksdb::Statistics> statistics) {
  rocksdb::DBOptions options;
  options.create_if_missing = spec.createIfMissing;
  options.create_missing_column_families = true;
  options.max_open_files = spec.maxOpenFiles;
  // One pool of threads for the process, which grows to the largest number that any database asks for.
  options.env = rocksdb::Env::Default();
  options.max_background_jobs = spec.maxBackgroundJobs;
  options.write_buffer_manager = Memtables();
  options.statistics = std::move(statistics);
  // Without a log, what is in memory is lost with the process anyway: a checkpoint is the only thing that lasts.
  options.avoid_flush_during_shutdown = true;
  // All column families are one state: a flush of some of them would be a state that never was.
  options.atomic_flush = true;
  // JavaScript's thread closes iterators; files that this makes obsolete are deleted by another.
  options.avoid_unnecessary_blocking_io = true;
  // Every checkpoint copies this file whole, so it begins anew before it is a history: a hundred files are described in so much.
  options.max_manifest_file_size = 16 << 10;
  // One writer: nothing to share a memtable insert with, nobody to wait for.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // Spreads the writing of files out, so that the sync at the end of a flush does not wait for all of it.
  options.bytes_per_sync = 1 << 20;
  return options;
}

}  // namespace

std::shared_ptr<Database> Database::Open(const OpenSpec& spec) {
  std::shared_ptr<Database> database(new Database());
  const std::string path = Canonical(spec.path);
  LockPath(path);
  database->lockedPath_ = path;
  if (spec.statistics) {
    database->statistics_ = rocksdb::CreateDBStatistics();
    // Counters alone; timers cost a clock call in every read.
    database->statistics_->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  }
  database->writeOptions_.disableWAL = true;

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const ColumnFamilySpec& family : spec.columnFamilies) descriptors.emplace_back(family.name, MakeColumnFamilyOptions(family));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  CheckStatus(rocksdb::DB::Open(MakeOptions(spec, database->statistics_), spec.path, descriptors, &handles, &raw), "open");
  database->db_.reset(raw);
  for (size_t index = 0; index < handles.size(); index++) {
    database->AddFamily(database->Own(handles[index]), spec.columnFamilies[index].append);
  }
  AddToMemory(database.get());
  return database;
}

void Database::Close() {
  if (db_ != nullptr) {
    // First: a thread that flushes this database to make room waits for what is now cancelled.
    CancelBackgroundWork();
    RemoveFromMemory(this);
    families_.clear();
    // Whatever it says: nothing that lasts depends on it, see avoid_flush_during_shutdown.
    db_->Close().PermitUncheckedError();
    db_.reset();
  }
  if (!lockedPath_.empty()) UnlockPath(lockedPath_);
  lockedPath_.clear();
}

const ColumnFamily& Database::Family(uint64_t index) const {
  if (index >= families_.size()) {
    InvalidArgument("columnFamily " + std::to_string(index) + ": there are " + std::to_string(families_.size()));
  }
  if (families_[index].handle == nullptr) throw NativeError{"NotFound", "columnFamily " + std::to_string(index) + " was dropped"};
  return families_[index];
}

size_t Database::AddFamily(ColumnFamilyRef handle, bool append) {
  std::lock_guard<std::mutex> lock(familiesMutex_);
  families_.push_back({std::move(handle), append});
  return families_.size() - 1;
}

void Database::ForgetFamily(size_t index) {
  std::lock_guard<std::mutex> lock(familiesMutex_);
  families_[index].handle = nullptr;
}

ColumnFamilyRef Database::Own(rocksdb::ColumnFamilyHandle* handle) {
  return ColumnFamilyRef(handle, [this](rocksdb::ColumnFamilyHandle* owned) {
    // Fails only for a null handle.
    db_->DestroyColumnFamilyHandle(owned).PermitUncheckedError();
  });
}

std::vector<rocksdb::ColumnFamilyHandle*> Database::Handles(std::vector<ColumnFamilyRef>* kept) {
  std::lock_guard<std::mutex> lock(familiesMutex_);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (const ColumnFamily& family : families_) {
    if (family.handle == nullptr) continue;
    kept->push_back(family.handle);
    handles.push_back(family.handle.get());
  }
  return handles;
}

uint64_t Database::UnflushedBytes() {
  std::vector<ColumnFamilyRef> kept;
  uint64_t sum = 0;
  for (rocksdb::ColumnFamilyHandle* handle : Handles(&kept)) {
    uint64_t entries = 0;
    uint64_t immutable = 0;
    uint64_t bytes = 0;
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries);
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kNumImmutableMemTable, &immutable);
    // An empty memtable has its first block and its filter too, which no flush would give back.
    if (entries + immutable > 0) db_->GetIntProperty(handle, rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes);
    sum += bytes;
  }
  return sum;
}

Status Database::FlushMemtables(bool wait) {
  std::vector<ColumnFamilyRef> kept;
  const std::vector<rocksdb::ColumnFamilyHandle*> handles = Handles(&kept);
  rocksdb::FlushOptions options;
  options.wait = wait;
  // Waiting until a flush would not stop writers can take as long as a compaction, and memory or a barrier waits for this one.
  options.allow_write_stall = true;
  const Status status = db_->Flush(options, handles);
  if (!wait || !status.ok()) return status;
  // It may have waited for too little: RocksDB 10.4.2 (AtomicFlushMemTables) pairs the column families with the ids of their memtables out of an unordered
  // map, and comes back early when another flush was under way and a column family had nothing new. So those that are not done are waited for each.
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    uint64_t immutable = 0;
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kNumImmutableMemTable, &immutable);
    const Status rest = immutable == 0 ? Status::OK() : db_->Flush(options, handle);
    if (!rest.ok() && !rest.IsColumnFamilyDropped()) return rest;
  }
  return status;
}

void Database::CancelBackgroundWork() {
  rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/false);
  // A compaction that somebody asked for can wait in the process's queue behind one of another database; this takes it out, and waits for it.
  db_->DisableManualCompaction();
}

void Database::Checkpoint(const std::string& path, std::vector<FileFacts>* files) {
  rocksdb::Checkpoint* raw = nullptr;
  CheckStatus(rocksdb::Checkpoint::Create(db_.get(), &raw), "checkpoint");
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  // The largest number means: never flush. What is in memtables now came after the barrier.
  CheckStatus(checkpoint->CreateCheckpoint(path, UINT64_MAX), "checkpoint");
  std::vector<rocksdb::Env::FileAttributes> attributes;
  CheckStatus(rocksdb::Env::Default()->GetChildrenFileAttributes(path, &attributes), "checkpoint");
  for (const auto& attribute : attributes) {
    if (attribute.name != "." && attribute.name != "..") files->push_back({attribute.name, attribute.size_bytes});
  }
}

std::vector<FileFacts> Database::LiveFiles() {
  std::vector<rocksdb::LiveFileMetaData> live;
  db_->GetLiveFilesMetaData(&live);
  std::vector<FileFacts> files;
  for (const rocksdb::LiveFileMetaData& file : live) {
    // RocksDB puts a slash before the name.
    files.push_back({file.name.substr(file.name.find_first_not_of('/')), file.size});
  }
  return files;
}

void Database::DeleteRange(const ColumnFamilyRef& family, const std::string& start, const std::string& end, bool files) {
  if (files) {
    const rocksdb::RangeOpt range{rocksdb::OptSlice(start), rocksdb::OptSlice(end)};
    CheckStatus(rocksdb::DeleteFilesInRanges(db_.get(), family.get(), &range, 1, /*include_end=*/false), "deleteRange");
  }
  CheckStatus(db_->DeleteRange(writeOptions_, family.get(), start, end), "deleteRange");
}

// Not DB::ClipColumnFamily, which writes its range deletions to the write-ahead log.
void Database::Clip(const ColumnFamilyRef& family, const std::string& start, const std::string& end) {
  CheckStatus(FlushMemtables(/*wait=*/true), "clip");
  const rocksdb::RangeOpt outside[] = {{rocksdb::OptSlice(), rocksdb::OptSlice(start)}, {rocksdb::OptSlice(end), rocksdb::OptSlice()}};
  CheckStatus(rocksdb::DeleteFilesInRanges(db_.get(), family.get(), outside, 2, /*include_end=*/false), "clip");
  std::string afterLast;
  {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options, family.get()));
    iterator->SeekToLast();
    if (iterator->Valid()) afterLast = iterator->key().ToString() + '\0';
    CheckStatus(iterator->status(), "clip");
  }
  if (afterLast.empty()) return;
  if (!start.empty()) CheckStatus(db_->DeleteRange(writeOptions_, family.get(), "", start), "clip");
  if (end < afterLast) CheckStatus(db_->DeleteRange(writeOptions_, family.get(), end, afterLast), "clip");
  // Until its range deletions are compacted away every read would look at them.
  Compact(family);
}

void Database::CompactRange(const ColumnFamilyRef& family, const std::string& start, const std::string& end) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  // What is on the last level already is written anew too: otherwise a range deletion that came to rest there would stay.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  options.canceled = &rangeCompactionsCanceled_;
  const rocksdb::Slice from(start);
  const rocksdb::Slice to(end);
  CheckStatus(db_->CompactRange(options, family.get(), &from, &to), "compactRange");
}

void Database::Compact(const ColumnFamilyRef& family) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  options.allow_write_stall = true;
  CheckStatus(db_->CompactRange(options, family.get(), nullptr, nullptr), "compact");
}

void DestroyDatabase(const std::string& path) {
  const std::string canonical = Canonical(path);
  LockPath(canonical);
  const Status status = rocksdb::DestroyDB(path, rocksdb::Options());
  UnlockPath(canonical);
  CheckStatus(status, "destroy");
}

}  // namespace flinkjob
