// The methods of a database: each reads its arguments, then looks at the database, then acts.
#include <algorithm>
#include <map>

#include <rocksdb/utilities/checkpoint.h>

#include "batch-check.h"
#include "database-object.h"
#include "export-import.h"
#include "memory.h"
#include "object.h"

namespace flinkjob {

namespace {

/** Files that are ingested in one call. */
constexpr uint32_t ingestedFilesMax = 1 << 16;

struct Range {
  std::string start;
  std::string end;
};

Range ReadRange(Call& call) {
  Range range{ReadBytesCopy(call.env, call.arguments[1], "start"), ReadBytesCopy(call.env, call.arguments[2], "end")};
  if (range.end < range.start) InvalidArgument("end is before start");
  return range;
}

uint64_t ReadFamily(Call& call) { return ReadInteger(call.env, call.arguments[0], "columnFamily", UINT32_MAX); }

/** The arguments that multiGet and multiGetAsync have in common. */
struct MultiGetArguments {
  uint64_t family;
  Bytes keys;
  Words keyEnds;
  size_t count;
  Bytes values;
  Words valueEnds;
  Bytes found;

  std::vector<Bytes> Buffers() const { return {keys, keyEnds.AsBytes(), values, valueEnds.AsBytes(), found}; }
};

void CheckResultRoom(const MultiGetArguments& read) {
  if (read.count > read.valueEnds.count) InvalidArgument("valueEnds is shorter than count");
  if (read.count > read.found.size) InvalidArgument("found is shorter than count");
}

MultiGetArguments ReadMultiGet(Call& call) {
  const napi_env env = call.env;
  const napi_value* const arguments = call.arguments;
  MultiGetArguments read;
  read.family = ReadFamily(call);
  read.keys = ReadBytes(env, arguments[1], "keys");
  read.keyEnds = ReadWords(env, arguments[2], "keyEnds");
  read.count = ReadInteger(env, arguments[3], "count", UINT32_MAX);
  read.values = ReadBytes(env, arguments[4], "values");
  read.valueEnds = ReadWords(env, arguments[5], "valueEnds");
  read.found = ReadBytes(env, arguments[6], "found");
  if (read.count > read.keyEnds.count) InvalidArgument("count is larger than keyEnds is long");
  CheckResultRoom(read);
  const std::vector<Bytes> buffers = read.Buffers();
  for (size_t one = 0; one < buffers.size(); one++) {
    for (size_t other = std::max<size_t>(one + 1, 2); other < buffers.size(); other++) {
      if (Overlaps(buffers[one], buffers[other])) InvalidArgument("values, valueEnds and found must share no memory with another argument");
    }
  }
  return read;
}

void CheckAllFree(const Environment& environment, const std::vector<Bytes>& buffers) {
  for (const Bytes& buffer : buffers) environment.CheckFree(buffer, "a buffer");
}

/** What an asynchronous multiGet owns. It reads the database as of the call. */
struct AsyncMultiGet {
  std::string keys;
  MultiGet multiGet;
  SnapshotRef snapshot;
  ColumnFamilyRef family;
};

/** The results go into the arrays as they are by now: transferred or shrunk meanwhile, they are refused. */
napi_value EmitInto(napi_env env, const MultiGet& multiGet, size_t count, const std::vector<napi_ref>& arrays) {
  napi_value values[3] = {};
  for (size_t index = 0; index < 3; index++) CheckNapi(env, napi_get_reference_value(env, arrays[index], &values[index]));
  MultiGetArguments read{};
  read.count = count;
  read.values = ReadBytes(env, values[0], "values");
  read.valueEnds = ReadWords(env, values[1], "valueEnds");
  read.found = ReadBytes(env, values[2], "found");
  CheckResultRoom(read);
  return MakeNumber(env, static_cast<double>(multiGet.Emit(read.values, read.valueEnds, read.found)));
}

}  // namespace

struct DatabaseMethods {
  static napi_value MultiGetNow(Call& call) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    const MultiGetArguments read = ReadMultiGet(call);
    Database& database = object.Open();
    CheckAllFree(object.environment(), read.Buffers());
    const ColumnFamilyRef family = database.Family(read.family).handle;
    MultiGet& multiGet = object.multiGet_;
    multiGet.SetKeys(read.keys, read.keyEnds, read.count);
    multiGet.Read(database, family.get(), nullptr);
    const size_t needed = multiGet.Emit(read.values, read.valueEnds, read.found);
    multiGet.ReleaseScratch();
    return MakeNumber(call.env, static_cast<double>(needed));
  }

  static napi_value MultiGetAsync(Call& call) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    const MultiGetArguments read = ReadMultiGet(call);
    Database& database = object.Open();
    CheckAllFree(object.environment(), read.Buffers());
    auto state = std::make_shared<AsyncMultiGet>();
    state->family = database.Family(read.family).handle;
    if (read.keys.size > 0) state->keys.assign(reinterpret_cast<const char*>(read.keys.data), read.keys.size);
    const Bytes keys{reinterpret_cast<uint8_t*>(state->keys.data()), state->keys.size()};
    state->multiGet.SetKeys(keys, read.keyEnds, read.count);
    rocksdb::DB* const db = &database.db();
    state->snapshot = SnapshotRef(db->GetSnapshot(), [db](const rocksdb::Snapshot* snapshot) { db->ReleaseSnapshot(snapshot); });

    DatabaseObject::Work work;
    work.lane = Lane::kShort;
    work.buffers = read.Buffers();
    for (size_t index = 4; index <= 6; index++) {
      napi_ref reference = nullptr;
      CheckNapi(call.env, napi_create_reference(call.env, call.arguments[index], 1, &reference));
      work.objects.push_back(reference);
    }
    work.run = [state](Database& open) { state->multiGet.Read(open, state->family.get(), state->snapshot.get()); };
    work.finish = [state, count = read.count, arrays = work.objects](napi_env env) {
      return EmitInto(env, state->multiGet, count, arrays);
    };
    return object.Start(call.self, std::move(work));
  }

  static napi_value Write(Call& call) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    Database& database = ReadBatch(call, object);
    MakeRoomForWrite(database, object.batch_.size());
    rocksdb::WriteBatch batch(std::move(object.batch_));
    const rocksdb::Status status = database.db().Write(database.writeOptions(), &batch);
    // Its memory is used again.
    object.batch_ = batch.Release();
    if (object.batch_.capacity() > scratchKeptBytes) std::string().swap(object.batch_);
    CheckStatus(status, "write");
    return Undefined(call.env);
  }

  static napi_value WriteAsync(Call& call) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    ReadBatch(call, object);
    DatabaseObject::Work work;
    work.lane = Lane::kShort;
    work.writes = true;
    work.buffers = {ReadBytes(call.env, call.arguments[0], "batch")};
    const auto bytes = std::make_shared<std::string>(std::move(object.batch_));
    object.batch_.clear();
    work.run = [bytes](Database& database) {
      MakeRoomForWrite(database, bytes->size());
      rocksdb::WriteBatch batch(std::move(*bytes));
      CheckStatus(database.db().Write(database.writeOptions(), &batch), "writeAsync");
    };
    return object.Start(call.self, std::move(work));
  }

  static napi_value MakeIterator(Call& call) {
    const uint64_t family = ReadFamily(call);
    return IteratorObject::Make(call.env, call.self, family, call.arguments[1]);
  }

  static napi_value MakeSnapshot(Call& call) {
    return SnapshotObject::Make(call.env, *DatabaseObject::From(call.env, call.self));
  }

  static napi_value Flush(Call& call) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    DatabaseObject::Work work;
    work.run = [](Database& database) { CheckStatus(database.FlushMemtables(/*wait=*/true), "flush"); };
    return object.Start(call.self, std::move(work));
  }

  static napi_value MakeCheckpoint(Call& call) {
    const std::string path = ReadName(call.env, call.arguments[0], "path");
    return ListFiles(call, [path](Database& database, std::vector<FileFacts>* files) { database.Checkpoint(path, files); });
  }

  static napi_value LiveFiles(Call& call) {
    return ListFiles(call, [](Database& database, std::vector<FileFacts>* files) { *files = database.LiveFiles(); });
  }

  static napi_value DeleteRange(Call& call) {
    const uint64_t index = ReadFamily(call);
    const Range range = ReadRange(call);
    const bool files = ReadBoolean(call.env, ReadProperty(call.env, call.arguments[3], "files"), "files");
    return OnFamily(call, index, /*writes=*/true, [range, files](Database& database, const ColumnFamilyRef& family) {
      database.DeleteRange(family, range.start, range.end, files);
    });
  }

  static napi_value Clip(Call& call) {
    const uint64_t index = ReadFamily(call);
    const Range range = ReadRange(call);
    return OnFamily(call, index, /*writes=*/true, [range](Database& database, const ColumnFamilyRef& family) {
      database.Clip(family, range.start, range.end);
    });
  }

  static napi_value Ingest(Call& call) {
    const uint64_t index = ReadFamily(call);
    std::vector<std::string> files;
    for (napi_value file : ReadArray(call.env, call.arguments[1], "files", ingestedFilesMax)) {
      files.push_back(ReadName(call.env, file, "files"));
    }
    rocksdb::IngestExternalFileOptions options;
    options.move_files = ReadBoolean(call.env, ReadProperty(call.env, call.arguments[2], "moveFiles"), "moveFiles");
    options.allow_db_generated_files = ReadBoolean(call.env, ReadProperty(call.env, call.arguments[2], "dbGenerated"), "dbGenerated");
    // The files may have come over a network.
    options.verify_checksums_before_ingest = true;
    options.fill_cache = false;
    return OnFamily(call, index, /*writes=*/true, [files, options](Database& database, const ColumnFamilyRef& family) {
      if (!files.empty()) CheckStatus(database.db().IngestExternalFile(family.get(), files, options), "ingest");
    });
  }

  static napi_value ExportColumnFamily(Call& call) {
    const uint64_t index = ReadFamily(call);
    const std::string path = ReadName(call.env, call.arguments[1], "path");
    const auto metadata = std::make_shared<std::unique_ptr<rocksdb::ExportImportFilesMetaData>>();
    return OnFamily(
        call, index, /*writes=*/false,
        [path, metadata](Database& database, const ColumnFamilyRef& family) {
          // Of all column families: RocksDB's export flushes this one alone.
          CheckStatus(database.FlushMemtables(/*wait=*/true), "exportColumnFamily");
          rocksdb::Checkpoint* raw = nullptr;
          CheckStatus(rocksdb::Checkpoint::Create(&database.db(), &raw), "exportColumnFamily");
          const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
          rocksdb::ExportImportFilesMetaData* made = nullptr;
          const rocksdb::Status status = checkpoint->ExportColumnFamily(family.get(), path, &made);
          metadata->reset(made);
          CheckStatus(status, "exportColumnFamily");
        },
        [path, metadata](napi_env env) {
          napi_value exported = nullptr;
          CheckNapi(env, napi_create_object(env, &exported));
          SetProperty(env, exported, "path", MakeString(env, path));
          SetProperty(env, exported, "metadata", MakeExportMetadata(env, **metadata));
          return exported;
        });
  }

  static napi_value ImportColumnFamily(Call& call) {
    const ColumnFamilySpec spec = ReadColumnFamilySpec(call.env, call.arguments[0]);
    const auto exports = ReadExports(call.env, call.arguments[1]);
    rocksdb::ImportColumnFamilyOptions options;
    options.move_files = ReadBoolean(call.env, ReadProperty(call.env, call.arguments[2], "moveFiles"), "moveFiles");
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    if (object.Open().families().size() >= columnFamiliesMax) InvalidArgument("the database has had 1024 column families");
    const auto imported = std::make_shared<ColumnFamilyRef>();
    DatabaseObject::Work work;
    work.run = [spec, exports, options, imported](Database& database) {
      rocksdb::ColumnFamilyHandle* handle = nullptr;
      std::vector<const rocksdb::ExportImportFilesMetaData*> metadata;
      for (const auto& exported : exports) metadata.push_back(exported.get());
      const rocksdb::ColumnFamilyOptions familyOptions = MakeColumnFamilyOptions(spec);
      CheckStatus(metadata.empty() ? database.db().CreateColumnFamily(familyOptions, spec.name, &handle)
                                   : database.db().CreateColumnFamilyWithImport(familyOptions, spec.name, options, metadata, &handle),
                  "importColumnFamily");
      *imported = database.Own(handle);
    };
    work.finish = [&object, append = spec.append, imported](napi_env env) {
      return MakeNumber(env, static_cast<double>(object.database_->AddFamily(std::move(*imported), append)));
    };
    return object.Start(call.self, std::move(work));
  }

  static napi_value DropColumnFamily(Call& call) {
    const uint64_t index = ReadFamily(call);
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    if (index == 0) InvalidArgument("the default column family cannot be dropped");
    const ColumnFamilyRef family = object.Open().Family(index).handle;
    DatabaseObject::Work work;
    // A write into it must not be under way.
    work.writes = true;
    work.run = [family](Database& database) { CheckStatus(database.db().DropColumnFamily(family.get()), "dropColumnFamily"); };
    work.finish = [&object, index](napi_env env) {
      object.database_->ForgetFamily(index);
      return Undefined(env);
    };
    return object.Start(call.self, std::move(work));
  }

  static napi_value Compact(Call& call) {
    const uint64_t index = ReadFamily(call);
    return OnFamily(call, index, /*writes=*/false,
                    [](Database& database, const ColumnFamilyRef& family) { database.Compact(family); });
  }

  static napi_value CompactRange(Call& call) {
    const uint64_t index = ReadFamily(call);
    const Range range = ReadRange(call);
    return OnFamily(call, index, /*writes=*/false, [range](Database& database, const ColumnFamilyRef& family) {
      database.CompactRange(family, range.start, range.end);
    });
  }

  static napi_value Property(Call& call) {
    const uint64_t index = ReadFamily(call);
    const std::string name = ReadName(call.env, call.arguments[1], "name");
    Database& database = DatabaseObject::From(call.env, call.self)->Open();
    std::string value;
    const bool isKnown = database.db().GetProperty(database.Family(index).handle.get(), name, &value);
    return isKnown ? MakeString(call.env, value) : Undefined(call.env);
  }

  static napi_value Statistics(Call& call) {
    const rocksdb::Statistics* const statistics = DatabaseObject::From(call.env, call.self)->Open().statistics();
    napi_value object = nullptr;
    CheckNapi(call.env, napi_create_object(call.env, &object));
    std::map<std::string, uint64_t> tickers;
    if (statistics != nullptr) statistics->getTickerMap(&tickers);
    for (const auto& ticker : tickers) {
      SetProperty(call.env, object, ticker.first.c_str(), MakeNumber(call.env, static_cast<double>(ticker.second)));
    }
    return object;
  }

  static napi_value Close(Call& call) { return DatabaseObject::From(call.env, call.self)->Close(call.env, call.self); }

 private:
  static napi_value ListFiles(Call& call, std::function<void(Database&, std::vector<FileFacts>*)> list) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    const auto files = std::make_shared<std::vector<FileFacts>>();
    DatabaseObject::Work work;
    work.run = [list = std::move(list), files](Database& database) { list(database, files.get()); };
    work.finish = [files](napi_env env) {
      napi_value array = nullptr;
      CheckNapi(env, napi_create_array_with_length(env, files->size(), &array));
      for (uint32_t index = 0; index < files->size(); index++) {
        napi_value file = nullptr;
        CheckNapi(env, napi_create_object(env, &file));
        SetProperty(env, file, "name", MakeString(env, (*files)[index].name));
        SetProperty(env, file, "sizeBytes", MakeNumber(env, static_cast<double>((*files)[index].sizeBytes)));
        CheckNapi(env, napi_set_element(env, array, index, file));
      }
      return array;
    };
    return object.Start(call.self, std::move(work));
  }

  /** Puts the checked batch into `object.batch_`. */
  static Database& ReadBatch(Call& call, DatabaseObject& object) {
    const Bytes whole = ReadBytes(call.env, call.arguments[0], "batch");
    const size_t length = ReadInteger(call.env, call.arguments[1], "length", UINT32_MAX);
    if (length > whole.size) InvalidArgument("length is more than batch holds");
    Database& database = object.Open();
    object.CheckNoWriter();
    object.environment().CheckFree(whole, "batch");
    CheckedBatch({whole.data, length}, database.families(), &object.batch_);
    return database;
  }

  static napi_value OnFamily(Call& call, uint64_t index, bool writes,
                             std::function<void(Database&, const ColumnFamilyRef&)> run,
                             std::function<napi_value(napi_env)> finish = nullptr) {
    DatabaseObject& object = *DatabaseObject::From(call.env, call.self);
    const ColumnFamilyRef family = object.Open().Family(index).handle;
    DatabaseObject::Work work;
    work.writes = writes;
    work.run = [family, run = std::move(run)](Database& database) { run(database, family); };
    work.finish = std::move(finish);
    return object.Start(call.self, std::move(work));
  }
};

std::vector<Method> DatabaseMethodList() {
  return {{"multiGet", Entry<DatabaseMethods::MultiGetNow>},
          {"multiGetAsync", Entry<DatabaseMethods::MultiGetAsync>},
          {"write", Entry<DatabaseMethods::Write>},
          {"writeAsync", Entry<DatabaseMethods::WriteAsync>},
          {"iterator", Entry<DatabaseMethods::MakeIterator>},
          {"snapshot", Entry<DatabaseMethods::MakeSnapshot>},
          {"flush", Entry<DatabaseMethods::Flush>},
          {"checkpoint", Entry<DatabaseMethods::MakeCheckpoint>},
          {"liveFiles", Entry<DatabaseMethods::LiveFiles>},
          {"deleteRange", Entry<DatabaseMethods::DeleteRange>},
          {"clip", Entry<DatabaseMethods::Clip>},
          {"ingest", Entry<DatabaseMethods::Ingest>},
          {"exportColumnFamily", Entry<DatabaseMethods::ExportColumnFamily>},
          {"importColumnFamily", Entry<DatabaseMethods::ImportColumnFamily>},
          {"dropColumnFamily", Entry<DatabaseMethods::DropColumnFamily>},
          {"compact", Entry<DatabaseMethods::Compact>},
          {"compactRange", Entry<DatabaseMethods::CompactRange>},
          {"property", Entry<DatabaseMethods::Property>},
          {"statistics", Entry<DatabaseMethods::Statistics>},
          {"close", Entry<DatabaseMethods::Close>}};
}

}  // namespace flinkjob
