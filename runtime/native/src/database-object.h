// A database as JavaScript sees it: what is open, under way and allowed. Everything here is on the one thread that opened it.
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "async.h"
#include "database.h"
#include "iterator.h"
#include "multi-get.h"

namespace flinkjob {

class DatabaseObject {
 public:
  static napi_value Make(napi_env env, std::shared_ptr<Database> database);
  static void DefineClass(napi_env env);
  /** Throws `InvalidArgument` when `value` is something else. */
  static DatabaseObject* From(napi_env env, napi_value value);

  /** Throws `Closed` from the call of `close` on. */
  Database& Open() const;
  Environment& environment() const { return *environment_; }

  /** The thread ends: stops background work, ends iterators and snapshots. */
  void PrepareEnd();
  /** The thread ends, or the object was collected: nothing is under way. Closes and waits. */
  void End();

  /** The thread ends, and something under way does not: the database stays open, and its path busy, as long as the process lasts. */
  void Abandon();

  std::set<IteratorObject*> iterators;
  std::set<SnapshotObject*> snapshots;

 private:
  friend struct DatabaseMethods;

  struct Work {
    Lane lane = Lane::kLong;
    /** Refuses other writers meanwhile. */
    bool writes = false;
    std::function<void(Database&)> run;
    /** Nothing gives undefined. */
    std::function<napi_value(napi_env)> finish;
    std::vector<Bytes> buffers;
    std::vector<napi_ref> objects;
  };

  napi_value Start(napi_value self, Work work);
  napi_value Close(napi_env env, napi_value self);
  void CallSettled(bool wrote);
  void EndIteratorsAndSnapshots();
  void CheckNoWriter() const;

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Database> database_;
  size_t underWay_ = 0;
  bool writing_ = false;
  bool closing_ = false;
  /** Waits for the calls that are under way; then it is on a lane, and the database is that thread's. */
  std::unique_ptr<AsyncCall> closeCall_;
  bool closeStarted_ = false;
  /** Of calls of `close` after the first one. */
  std::vector<napi_deferred> closePromises_;
  MultiGet multiGet_;
  std::string batch_;
};

}  // namespace flinkjob
