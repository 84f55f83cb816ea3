#include "async.h"

#include <algorithm>
#include <deque>
#include <thread>

#include "database-object.h"

namespace flinkjob {

namespace {

/** A queue with threads of its own. They are made when they are first needed and last as long as the process. */
class ThreadLane {
 public:
  explicit ThreadLane(size_t threadsMax) : threadsMax_(threadsMax) {}

  void Add(AsyncCall* call) {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(call);
    if (idle_ < queue_.size() && threads_ < threadsMax_) {
      threads_++;
      std::thread([this] { Run(); }).detach();
    }
    changed_.notify_one();
  }

  /** Takes out what has not begun. */
  std::vector<AsyncCall*> Withdraw(const Environment* environment) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::vector<AsyncCall*> withdrawn;
    std::copy_if(queue_.begin(), queue_.end(), std::back_inserter(withdrawn),
                 [&](AsyncCall* call) { return call->environment.get() == environment; });
    std::erase_if(queue_, [&](AsyncCall* call) { return call->environment.get() == environment; });
    return withdrawn;
  }

  void Stop(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    stopped_ = true;
    changed_.wait_until(lock, deadline, [this] { return busy_ == 0; });
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      idle_++;
      changed_.wait(lock, [this] { return !queue_.empty() && !stopped_; });
      idle_--;
      AsyncCall* call = queue_.front();
      queue_.pop_front();
      busy_++;
      lock.unlock();
      Perform(call);
      lock.lock();
      busy_--;
      changed_.notify_all();
    }
  }

  static void Perform(AsyncCall* call) {
    try {
      call->work();
    } catch (const NativeError& error) {
      call->error = error;
    } catch (const std::bad_alloc&) {
      call->error = NativeError{"MemoryLimit", "no memory left for a native buffer"};
    } catch (const std::exception& error) {
      call->error = NativeError{"InvalidArgument", error.what()};
    }
    // The call may be gone, and its environment with it, as soon as it is handed over.
    const std::shared_ptr<Environment> environment = call->environment;
    environment->Finished(call);
  }

  const size_t threadsMax_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AsyncCall*> queue_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  size_t busy_ = 0;
  bool stopped_ = false;
};

/** Flushes and compactions that can wait at the same time; each costs a sleeping thread. */
constexpr size_t longThreadsMax = 16;

/** Never deleted: their threads outlive every destructor of the process. */
ThreadLane& LaneOf(Lane lane) {
  static ThreadLane* const shortLane = new ThreadLane(std::max(2u, std::thread::hardware_concurrency()));
  static ThreadLane* const longLane = new ThreadLane(longThreadsMax);
  return lane == Lane::kShort ? *shortLane : *longLane;
}

}  // namespace

void StopLanes() {
  const auto deadline = std::chrono::steady_clock::now() + endTimeout;
  LaneOf(Lane::kShort).Stop(deadline);
  LaneOf(Lane::kLong).Stop(deadline);
}

void Environment::Install(napi_env env) {
  auto* const holder = new std::shared_ptr<Environment>(new Environment());
  Environment& environment = **holder;
  environment.env_ = env;
  CheckNapi(env, napi_set_instance_data(
                     env, holder, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Environment>*>(data); },
                     nullptr));
  CheckNapi(env, napi_create_threadsafe_function(env, nullptr, nullptr, MakeString(env, "RocksDB"), 0, 1, nullptr, nullptr, nullptr,
                                                 Settle, &environment.settle_));
  CheckNapi(env, napi_unref_threadsafe_function(env, environment.settle_));
  // Hooks run in the reverse order: this one before those of the thread-safe function and of the object wrappers.
  CheckNapi(env, napi_add_env_cleanup_hook(env, TearDown, &environment));
}

Environment* Environment::Of(napi_env env) {
  void* data = nullptr;
  CheckNapi(env, napi_get_instance_data(env, &data));
  return static_cast<std::shared_ptr<Environment>*>(data)->get();
}

napi_value Environment::Start(std::unique_ptr<AsyncCall> call, Lane lane) {
  napi_value promise = nullptr;
  CheckNapi(env_, napi_create_promise(env_, &call->deferred, &promise));
  Queue(std::move(call), lane);
  return promise;
}

void Environment::Queue(std::unique_ptr<AsyncCall> call, Lane lane) {
  call->environment = shared_from_this();
  std::copy_if(call->buffers.begin(), call->buffers.end(), std::back_inserter(buffersInUse_),
               [](Bytes buffer) { return buffer.size > 0; });
  if (unsettled_.empty()) CheckNapi(env_, napi_ref_threadsafe_function(env_, settle_));
  unsettled_.insert(call.get());
  {
    std::lock_guard<std::mutex> lock(mutex_);
    running_++;
  }
  LaneOf(lane).Add(call.release());
}

void Environment::Retain(AsyncCall& call, napi_value object) {
  napi_ref reference = nullptr;
  CheckNapi(env_, napi_create_reference(env_, object, 1, &reference));
  call.objects.push_back(reference);
}

void Environment::CheckFree(Bytes buffer, const char* name) const {
  for (const Bytes& used : buffersInUse_) {
    if (Overlaps(used, buffer)) {
      throw NativeError{"BufferInUse", std::string(name) + " belongs to an asynchronous call; await its promise first"};
    }
  }
}

void Environment::Finished(AsyncCall* call) {
  std::lock_guard<std::mutex> lock(mutex_);
  running_--;
  if (ending_) {
    orphans_.emplace_back(call);
  } else {
    // Without a limit on its queue this cannot fail: the number of calls is what JavaScript made.
    napi_call_threadsafe_function(settle_, call, napi_tsfn_nonblocking);
  }
  changed_.notify_all();
}

void Environment::Settle(napi_env env, napi_value, void*, void* data) {
  auto* const call = static_cast<AsyncCall*>(data);
  if (env == nullptr) {
    // The thread ended with the call in the queue.
    delete call;
    return;
  }
  const std::shared_ptr<Environment> environment = call->environment;
  environment->SettleOne(call);
}

void Environment::SettleOne(AsyncCall* data) {
  std::unique_ptr<AsyncCall> call(data);
  for (const Bytes& buffer : call->buffers) {
    const auto found = std::find_if(buffersInUse_.begin(), buffersInUse_.end(),
                                    [&](const Bytes& used) { return used.data == buffer.data && used.size == buffer.size; });
    if (found != buffersInUse_.end()) buffersInUse_.erase(found);
  }
  unsettled_.erase(data);
  if (unsettled_.empty()) napi_unref_threadsafe_function(env_, settle_);
  try {
    napi_value value = nullptr;
    if (!call->error.has_value()) {
      try {
        value = call->finish ? call->finish(env_) : Undefined(env_);
      } catch (const NativeError& error) {
        call->error = error;
      }
    }
    if (call->error.has_value()) {
      CheckNapi(env_, napi_reject_deferred(env_, call->deferred, MakeError(env_, *call->error)));
    } else {
      CheckNapi(env_, napi_resolve_deferred(env_, call->deferred, value));
    }
  } catch (const JavaScriptThrew&) {
    // The thread is being terminated: no JavaScript runs any more, so nobody waits for the promise.
  } catch (const NativeError&) {
    // The same, said in another way.
  }
  for (napi_ref reference : call->objects) napi_delete_reference(env_, reference);
  const std::function<void()> afterwards = std::move(call->afterwards);
  // What `work` holds of the database goes before the database can.
  call.reset();
  if (afterwards) afterwards();
}

void Environment::TearDown(void* data) {
  // Holds on to itself: the instance data goes after this.
  const std::shared_ptr<Environment> environment = static_cast<Environment*>(data)->shared_from_this();
  {
    std::lock_guard<std::mutex> lock(environment->mutex_);
    environment->ending_ = true;
  }
  for (DatabaseObject* database : environment->databases) database->PrepareEnd();
  for (Lane lane : {Lane::kShort, Lane::kLong}) {
    for (AsyncCall* call : LaneOf(lane).Withdraw(environment.get())) environment->Finished(call);
  }
  if (!environment->WaitForRunning()) {
    for (DatabaseObject* database : std::set<DatabaseObject*>(environment->databases)) database->Abandon();
    return;
  }
  // Those that wait to be settled are deleted with the thread-safe function, later than the databases: they let go of them now.
  for (AsyncCall* call : environment->unsettled_) {
    call->work = nullptr;
    call->finish = nullptr;
    call->afterwards = nullptr;
  }
  environment->orphans_.clear();
  for (DatabaseObject* database : std::set<DatabaseObject*>(environment->databases)) database->End();
}

bool Environment::WaitForRunning() {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, endTimeout, [this] { return running_ == 0; });
}

}  // namespace flinkjob
