#include "errors.h"

namespace flinkjob {

using rocksdb::Status;

void InvalidArgument(const std::string& message) { throw NativeError{"InvalidArgument", message}; }

namespace {

const char* CodeOf(const Status& status) {
  // Sub-codes first: a full disk is an IOError and a full cache an Incomplete or Aborted to RocksDB.
  if (status.IsNoSpace()) return "NoSpace";
  if (status.IsMemoryLimit()) return "MemoryLimit";
  switch (status.code()) {
    case Status::kNotFound:
    case Status::kColumnFamilyDropped:
      return "NotFound";
    case Status::kCorruption:
      return "Corruption";
    case Status::kNotSupported:
      return "NotSupported";
    case Status::kInvalidArgument:
      return "InvalidArgument";
    case Status::kShutdownInProgress:
      return "Closed";
    case Status::kBusy:
    case Status::kTimedOut:
    case Status::kTryAgain:
      return "Busy";
    case Status::kIncomplete:
    case Status::kAborted:
    case Status::kExpired:
    case Status::kCompactionTooLarge:
      return "Incomplete";
    default:
      // RocksDB has no code of its own for "another process holds the LOCK file".
      return status.ToString().find("lock ") != std::string::npos ? "Busy" : "IOError";
  }
}

}  // namespace

void CheckStatus(const Status& status, const char* where) {
  if (!status.ok()) {
    throw NativeError{CodeOf(status), std::string(where) + ": " + status.ToString()};
  }
}

}  // namespace flinkjob
