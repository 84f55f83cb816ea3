// Every failure inside the addon is one exception, and becomes one kind of JavaScript error: an `Error` with a `code`.
#pragma once
#include <cstdint>
#include <string>

#include <rocksdb/status.h>

namespace flinkjob {

struct NativeError {
  /** One of `NativeErrorCode` in native-binding.ts. */
  const char* code;
  std::string message;
  /** Only for `BufferTooSmall`. */
  uint64_t neededBytes = 0;
};

/** Thrown when JavaScript code that we called (a getter) has thrown: its exception is pending and stays the one that is seen. */
struct JavaScriptThrew {};

[[noreturn]] void InvalidArgument(const std::string& message);

/** RocksDB's answer as our exception; `where` names the call. Does nothing when `status` is ok. */
void CheckStatus(const rocksdb::Status& status, const char* where);

}  // namespace flinkjob
