// What the binding itself offers; the contract is `NativeBinding` in native-binding.ts.
#include <cstdlib>
#include <limits>
#include <set>

#include <rocksdb/env.h>
#include <rocksdb/version.h>

#include "async.h"
#include "database-object.h"
#include "memory.h"
#include "sst-writer.h"

namespace flinkjob {

namespace {

constexpr uint64_t safeIntegerMax = (uint64_t{1} << 53) - 1;
/** RocksDB keeps ten for itself and raises fewer to this. */
constexpr uint64_t openFilesMin = 20;
constexpr uint64_t openFilesMax = 1 << 20;
constexpr uint64_t backgroundJobsMax = 64;

napi_value Configure(Call& call) {
  const auto read = [&](const char* name) {
    return ReadInteger(call.env, ReadProperty(call.env, call.arguments[0], name), name, safeIntegerMax);
  };
  const size_t capacityBytes = read("capacityBytes");
  const size_t writeBufferBytes = read("writeBufferBytes");
  ConfigureMemory(capacityBytes, writeBufferBytes);
  return Undefined(call.env);
}

napi_value Usage(Call& call) {
  const MemoryUsage usage = CurrentMemoryUsage();
  napi_value object = nullptr;
  CheckNapi(call.env, napi_create_object(call.env, &object));
  const auto set = [&](const char* name, size_t bytes) {
    SetProperty(call.env, object, name, MakeNumber(call.env, static_cast<double>(bytes)));
  };
  set("capacityBytes", usage.capacityBytes);
  set("usedBytes", usage.usedBytes);
  set("blockCacheBytes", usage.blockCacheBytes);
  set("pinnedBytes", usage.pinnedBytes);
  set("memtableBytes", usage.memtableBytes);
  set("shardBytes", usage.shardBytes);
  set("writeBufferBytes", usage.writeBufferBytes);
  return object;
}

napi_value SetNow(Call& call) {
  SetTtlNow(static_cast<int64_t>(ReadInteger(call.env, call.arguments[0], "nowMs", safeIntegerMax)));
  return Undefined(call.env);
}

OpenSpec ReadOpenSpec(napi_env env, napi_value options) {
  const auto read = [&](const char* name) { return ReadProperty(env, options, name); };
  OpenSpec spec;
  spec.path = ReadName(env, read("path"), "path");
  spec.createIfMissing = ReadBoolean(env, read("createIfMissing"), "createIfMissing");
  for (napi_value family : ReadArray(env, read("columnFamilies"), "columnFamilies", columnFamiliesMax)) {
    spec.columnFamilies.push_back(ReadColumnFamilySpec(env, family));
  }
  spec.maxOpenFiles = static_cast<int>(ReadInteger(env, read("maxOpenFiles"), "maxOpenFiles", openFilesMax));
  spec.maxBackgroundJobs = static_cast<int>(ReadInteger(env, read("maxBackgroundJobs"), "maxBackgroundJobs", backgroundJobsMax));
  spec.statistics = ReadBoolean(env, read("statistics"), "statistics");
  if (spec.maxOpenFiles < static_cast<int>(openFilesMin)) InvalidArgument("maxOpenFiles must be at least 20");
  if (spec.maxBackgroundJobs < 1) InvalidArgument("maxBackgroundJobs must be at least 1");
  if (spec.columnFamilies.empty() || spec.columnFamilies[0].name != rocksdb::kDefaultColumnFamilyName) {
    InvalidArgument("the first of columnFamilies must be 'default'");
  }
  std::set<std::string> names;
  for (const ColumnFamilySpec& family : spec.columnFamilies) {
    if (!names.insert(family.name).second) InvalidArgument("columnFamilies has '" + family.name + "' twice");
  }
  return spec;
}

napi_value Open(Call& call) {
  const OpenSpec spec = ReadOpenSpec(call.env, call.arguments[0]);
  BlockCache();
  const auto opened = std::make_shared<std::shared_ptr<Database>>();
  auto open = std::make_unique<AsyncCall>();
  open->work = [spec, opened] { *opened = Database::Open(spec); };
  open->finish = [opened](napi_env env) { return DatabaseObject::Make(env, std::move(*opened)); };
  return Environment::Of(call.env)->Start(std::move(open), Lane::kLong);
}

napi_value Destroy(Call& call) {
  const std::string path = ReadName(call.env, call.arguments[0], "path");
  auto destroy = std::make_unique<AsyncCall>();
  destroy->work = [path] { DestroyDatabase(path); };
  return Environment::Of(call.env)->Start(std::move(destroy), Lane::kLong);
}

/** `process.exit` runs no clean-up hooks: databases stay open, but nothing may run in them while the process is taken down. */
void AtProcessExit() {
  CancelBackgroundWorkOfAll();
  StopLanes();
}

/** The library is found when the process runs, and could be another version than the headers: then nothing about it can be trusted. */
void CheckLibraryVersion() {
  const std::string built =
      std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." + std::to_string(ROCKSDB_PATCH);
  const std::string found = rocksdb::GetRocksVersionAsString(true);
  if (found != built) InvalidArgument("the addon is built for RocksDB " + built + ", and the library beside it is " + found);
}

napi_value Initialise(napi_env env, napi_value exports) {
  CheckLibraryVersion();
  // What was made last is taken down first: RocksDB's threads must still be there when those that wait for them are told to stop.
  rocksdb::Env::Default();
  static const int atExit = std::atexit(AtProcessExit);
  static_cast<void>(atExit);
  Environment::Install(env);
  DatabaseObject::DefineClass(env);
  IteratorObject::DefineClass(env);
  SnapshotObject::DefineClass(env);
  SetProperty(env, exports, "rocksdbVersion", MakeString(env, rocksdb::GetRocksVersionAsString(true)));
  const auto define = [&](const char* name, napi_callback function) {
    napi_value made = nullptr;
    CheckNapi(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &made));
    SetProperty(env, exports, name, made);
  };
  define("configureMemory", Entry<Configure>);
  define("memoryUsage", Entry<Usage>);
  define("setNowMs", Entry<SetNow>);
  define("open", Entry<Open>);
  define("destroy", Entry<Destroy>);
  define("writeSst", Entry<WriteSst>);
  return exports;
}

}  // namespace

}  // namespace flinkjob

/** Once for each thread that loads the addon. */
NAPI_MODULE_INIT() {
  try {
    return flinkjob::Initialise(env, exports);
  } catch (const flinkjob::NativeError& error) {
    return flinkjob::ThrowInJavaScript(env, error);
  } catch (const flinkjob::JavaScriptThrew&) {
    return nullptr;
  }
}
