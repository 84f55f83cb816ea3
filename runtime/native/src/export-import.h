// Exports of column families, as JavaScript carries them from one database to another.
#pragma once
#include <memory>
#include <vector>

#include <rocksdb/metadata.h>

#include "js.h"

namespace flinkjob {

/** What import needs besides the files, as JSON. */
napi_value MakeExportMetadata(napi_env env, const rocksdb::ExportImportFilesMetaData& metadata);

/** Reads `NativeExport`s; those without files are left out, because RocksDB refuses them. */
std::vector<std::shared_ptr<rocksdb::ExportImportFilesMetaData>> ReadExports(napi_env env, napi_value value);

}  // namespace flinkjob
