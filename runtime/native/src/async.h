// Work on other threads. It does not use libuv's pool: that has four threads for the whole process, and a compaction of minutes in each would
// stop every file and name look-up of the process. Native code on another thread never touches JavaScript's memory: inputs are copied when the
// call is made, results when it is settled, so no transfer, resize or garbage collection of a buffer can hurt.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "js.h"

namespace flinkjob {

class DatabaseObject;
class Environment;

enum class Lane {
  /** Reads and writes: as many threads as the machine has processors. */
  kShort,
  /** Flush, compaction, checkpoint, opening, closing: these mostly wait for RocksDB's own threads. */
  kLong,
};

/** What was told to stop and has not after this long hangs, in a read of a broken disk for instance; whoever waits goes on without it. */
constexpr std::chrono::seconds endTimeout{10};

/** An asynchronous call from being made until its promise is settled. */
struct AsyncCall {
  std::shared_ptr<Environment> environment;
  /** On a thread of the lane. What it throws rejects the promise. */
  std::function<void()> work;
  /** On JavaScript's thread, after `work` went well; gives the promise's value. */
  std::function<napi_value(napi_env)> finish;
  /** On JavaScript's thread, last of all and however it went. Not called when the thread ends before. */
  std::function<void()> afterwards;
  /** Objects that must live, and buffers that nobody else may use, until the promise is settled. */
  std::vector<napi_ref> objects;
  std::vector<Bytes> buffers;
  napi_deferred deferred = nullptr;
  std::optional<NativeError> error;
};

/** What one thread with JavaScript (the main one or a worker) has open and under way. */
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  static void Install(napi_env env);
  static Environment* Of(napi_env env);

  /** Queues `call`; gives its promise. */
  napi_value Start(std::unique_ptr<AsyncCall> call, Lane lane);
  /** The same for a promise that was given out before. */
  void Queue(std::unique_ptr<AsyncCall> call, Lane lane);
  /** Keeps `object` alive until the call is settled. */
  void Retain(AsyncCall& call, napi_value object);
  /** Throws `BufferInUse` when an asynchronous call has it, or a part of it. */
  void CheckFree(Bytes buffer, const char* name) const;

  /** On the lane's thread, when `call` has run. */
  void Finished(AsyncCall* call);

  napi_env env() const { return env_; }

  /** Constructors of the objects that calls give. */
  napi_ref databaseClass = nullptr;
  napi_ref iteratorClass = nullptr;
  napi_ref snapshotClass = nullptr;
  /** The open databases of this thread, to be closed when it ends. */
  std::set<DatabaseObject*> databases;

 private:
  static void Settle(napi_env env, napi_value, void*, void* call);
  void SettleOne(AsyncCall* call);
  static void TearDown(void* environment);
  /** False when something still runs after `endTimeout`. */
  bool WaitForRunning();

  napi_env env_ = nullptr;
  napi_threadsafe_function settle_ = nullptr;
  /** JavaScript's thread only. While there is one, the event loop stays alive. */
  std::set<AsyncCall*> unsettled_;
  std::vector<Bytes> buffersInUse_;

  std::mutex mutex_;
  std::condition_variable changed_;
  /** Queued or running on a lane. */
  size_t running_ = 0;
  bool ending_ = false;
  /** Calls that ended after the thread began to; nobody can be told. */
  std::vector<std::unique_ptr<AsyncCall>> orphans_;
};

/** At the process's end: nothing starts any more, and what runs has been told to stop; waits for it for `endTimeout`. */
void StopLanes();

}  // namespace flinkjob
