#include "iterator.h"

#include <cstring>

#include "database-object.h"
#include "object.h"

namespace flinkjob {

namespace {

constexpr napi_type_tag snapshotTag = {0x6d1f7c0a5e9b4a31, 0x9c2e8d7f01b34c55};
constexpr napi_type_tag iteratorTag = {0x2b8e4f96d0c17a63, 0x8a5d3c1e7f92b046};

napi_value CloseSnapshot(Call& call) {
  SnapshotObject::From(call.env, call.self)->End();
  return Undefined(call.env);
}

napi_value CloseIterator(Call& call) {
  IteratorObject::From(call.env, call.self)->End();
  return Undefined(call.env);
}

napi_value NextOfIterator(Call& call) {
  IteratorObject* const iterator = IteratorObject::From(call.env, call.self);
  const Bytes out = ReadBytes(call.env, call.arguments[0], "out");
  const Words ends = ReadWords(call.env, call.arguments[1], "ends");
  if (iterator->database == nullptr) throw NativeError{"Closed", "the iterator is closed"};
  const Environment& environment = iterator->database->environment();
  environment.CheckFree(out, "out");
  environment.CheckFree(ends.AsBytes(), "ends");
  if (Overlaps(out, ends.AsBytes())) InvalidArgument("out and ends share memory");
  if (ends.count < 2) InvalidArgument("ends must have room for the two numbers of an entry");
  return MakeNumber(call.env, static_cast<double>(iterator->Next(out, ends)));
}

}  // namespace

void SnapshotObject::DefineClass(napi_env env) {
  Environment::Of(env)->snapshotClass = DefineObjectClass(env, "NativeSnapshot", {{"close", Entry<CloseSnapshot>}});
}

SnapshotObject* SnapshotObject::From(napi_env env, napi_value value) {
  return Unwrap<SnapshotObject>(env, value, snapshotTag, "a snapshot");
}

napi_value SnapshotObject::Make(napi_env env, DatabaseObject& database) {
  if (database.snapshots.size() >= snapshotsMax) InvalidArgument("the database has 1024 open snapshots: close them");
  rocksdb::DB* const db = &database.Open().db();
  auto made = std::make_unique<SnapshotObject>();
  made->snapshot = SnapshotRef(db->GetSnapshot(), [db](const rocksdb::Snapshot* snapshot) { db->ReleaseSnapshot(snapshot); });
  SnapshotObject* const snapshot = made.get();
  const napi_value object = WrapNew(env, database.environment().snapshotClass, snapshotTag, std::move(made));
  snapshot->database = &database;
  database.snapshots.insert(snapshot);
  return object;
}

void SnapshotObject::End() {
  snapshot.reset();
  if (database != nullptr) database->snapshots.erase(this);
  database = nullptr;
}

void IteratorObject::DefineClass(napi_env env) {
  Environment::Of(env)->iteratorClass =
      DefineObjectClass(env, "NativeIterator", {{"next", Entry<NextOfIterator>}, {"close", Entry<CloseIterator>}});
}

IteratorObject* IteratorObject::From(napi_env env, napi_value value) {
  return Unwrap<IteratorObject>(env, value, iteratorTag, "an iterator");
}

napi_value IteratorObject::Make(napi_env env, napi_value self, uint64_t columnFamily, napi_value options) {
  auto made = std::make_unique<IteratorObject>();
  const napi_value lower = ReadProperty(env, options, "lower");
  if (!IsUndefined(env, lower)) {
    made->lower_ = ReadBytesCopy(env, lower, "lower");
    made->hasLower_ = true;
  }
  const napi_value upper = ReadProperty(env, options, "upper");
  if (!IsUndefined(env, upper)) {
    made->upper_ = ReadBytesCopy(env, upper, "upper");
    made->hasUpper_ = true;
  }
  const napi_value keysOnly = ReadProperty(env, options, "keysOnly");
  if (!IsUndefined(env, keysOnly)) made->keysOnly_ = ReadBoolean(env, keysOnly, "keysOnly");
  const napi_value fillCache = ReadProperty(env, options, "fillCache");
  if (!IsUndefined(env, fillCache)) made->fillCache_ = ReadBoolean(env, fillCache, "fillCache");
  const napi_value snapshotValue = ReadProperty(env, options, "snapshot");
  SnapshotObject* const snapshot = IsUndefined(env, snapshotValue) ? nullptr : SnapshotObject::From(env, snapshotValue);

  // From here on no JavaScript runs that could close anything.
  DatabaseObject* const database = DatabaseObject::From(env, self);
  const ColumnFamilyRef family = database->Open().Family(columnFamily).handle;
  if (snapshot != nullptr) {
    if (snapshot->database == nullptr) throw NativeError{"Closed", "the snapshot is closed"};
    if (snapshot->database != database) InvalidArgument("the snapshot is of another database");
    made->snapshot_ = snapshot->snapshot;
  }
  if (database->iterators.size() >= iteratorsMax) InvalidArgument("the database has 1024 open iterators: close them");
  IteratorObject* const iterator = made.get();
  const napi_value object = WrapNew(env, database->environment().iteratorClass, iteratorTag, std::move(made));
  // The database stays while its iterator does.
  CheckNapi(env, napi_create_reference(env, self, 1, &iterator->databaseReference_));
  iterator->database = database;
  database->iterators.insert(iterator);
  iterator->Open(family);
  return object;
}

void IteratorObject::Open(const ColumnFamilyRef& family) {
  family_ = family;
  rocksdb::ReadOptions options;
  options.fill_cache = fillCache_;
  options.snapshot = snapshot_.get();
  lowerSlice_ = lower_;
  upperSlice_ = upper_;
  if (hasLower_) options.iterate_lower_bound = &lowerSlice_;
  if (hasUpper_) options.iterate_upper_bound = &upperSlice_;
  iterator_.reset(database->Open().db().NewIterator(options, family_.get()));
  if (hasLower_) {
    iterator_->Seek(lowerSlice_);
  } else {
    iterator_->SeekToFirst();
  }
}

void IteratorObject::End() {
  iterator_.reset();
  family_.reset();
  snapshot_.reset();
  if (database == nullptr) return;
  database->iterators.erase(this);
  napi_delete_reference(database->environment().env(), databaseReference_);
  database = nullptr;
}

size_t IteratorObject::Next(Bytes out, Words ends) {
  size_t position = 0;
  size_t count = 0;
  for (; iterator_->Valid() && 2 * count + 2 <= ends.count; count++) {
    const rocksdb::Slice key = iterator_->key();
    const rocksdb::Slice value = keysOnly_ ? rocksdb::Slice() : iterator_->value();
    const size_t needed = key.size() + value.size();
    if (needed > out.size - position) {
      if (count > 0) return count;
      throw NativeError{"BufferTooSmall", "the next entry has " + std::to_string(needed) + " bytes, and out " + std::to_string(out.size),
                        needed};
    }
    if (key.size() > 0) memcpy(out.data + position, key.data(), key.size());
    position += key.size();
    ends.data[2 * count] = static_cast<uint32_t>(position);
    if (value.size() > 0) memcpy(out.data + position, value.data(), value.size());
    position += value.size();
    ends.data[2 * count + 1] = static_cast<uint32_t>(position);
    iterator_->Next();
  }
  CheckStatus(iterator_->status(), "iterator");
  return count;
}

}  // namespace flinkjob
