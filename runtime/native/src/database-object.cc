#include "database-object.h"

#include "object.h"

namespace flinkjob {

namespace {

constexpr napi_type_tag databaseTag = {0x91c3e5a7b2d4f608, 0x4f7a6b5c3d2e1f09};

}  // namespace

// The methods themselves are in database-methods.cc.
std::vector<Method> DatabaseMethodList();

void DatabaseObject::DefineClass(napi_env env) {
  Environment::Of(env)->databaseClass = DefineObjectClass(env, "NativeDatabase", DatabaseMethodList());
}

napi_value DatabaseObject::Make(napi_env env, std::shared_ptr<Database> database) {
  auto made = std::make_unique<DatabaseObject>();
  made->environment_ = Environment::Of(env)->shared_from_this();
  made->database_ = std::move(database);
  DatabaseObject* const object = made.get();
  const napi_value value = WrapNew(env, object->environment_->databaseClass, databaseTag, std::move(made));
  object->environment_->databases.insert(object);
  return value;
}

DatabaseObject* DatabaseObject::From(napi_env env, napi_value value) {
  return Unwrap<DatabaseObject>(env, value, databaseTag, "a database");
}

Database& DatabaseObject::Open() const {
  if (closing_) throw NativeError{"Closed", "the database is closed"};
  return *database_;
}

void DatabaseObject::CheckNoWriter() const {
  if (writing_) throw NativeError{"WriterBusy", "an asynchronous write is under way; await its promise first"};
}

napi_value DatabaseObject::Start(napi_value self, Work work) {
  Open();
  if (work.writes) CheckNoWriter();
  auto call = std::make_unique<AsyncCall>();
  call->work = [database = database_, run = std::move(work.run)] { run(*database); };
  call->finish = std::move(work.finish);
  call->afterwards = [this, wrote = work.writes] { CallSettled(wrote); };
  call->buffers = std::move(work.buffers);
  call->objects = std::move(work.objects);
  environment_->Retain(*call, self);
  const napi_value promise = environment_->Start(std::move(call), work.lane);
  underWay_++;
  if (work.writes) writing_ = true;
  return promise;
}

void DatabaseObject::CallSettled(bool wrote) {
  underWay_--;
  if (wrote) writing_ = false;
  if (underWay_ == 0 && closeCall_ != nullptr) {
    closeStarted_ = true;
    environment_->Queue(std::move(closeCall_), Lane::kLong);
  }
}

napi_value DatabaseObject::Close(napi_env env, napi_value self) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  CheckNapi(env, napi_create_promise(env, &deferred, &promise));
  if (database_ == nullptr) {
    CheckNapi(env, napi_resolve_deferred(env, deferred, Undefined(env)));
    return promise;
  }
  if (closing_) {
    closePromises_.push_back(deferred);
    return promise;
  }
  closing_ = true;
  EndIteratorsAndSnapshots();
  database_->CancelRangeCompactions();
  closeCall_ = std::make_unique<AsyncCall>();
  closeCall_->deferred = deferred;
  closeCall_->work = [database = database_] { database->Close(); };
  closeCall_->finish = [this](napi_env thisEnv) {
    database_.reset();
    environment_->databases.erase(this);
    const napi_value nothing = Undefined(thisEnv);
    for (napi_deferred waiting : closePromises_) napi_resolve_deferred(thisEnv, waiting, nothing);
    closePromises_.clear();
    return nothing;
  };
  environment_->Retain(*closeCall_, self);
  underWay_++;
  CallSettled(/*wrote=*/false);
  return promise;
}

void DatabaseObject::EndIteratorsAndSnapshots() {
  while (!iterators.empty()) (*iterators.begin())->End();
  while (!snapshots.empty()) (*snapshots.begin())->End();
}

void DatabaseObject::PrepareEnd() {
  EndIteratorsAndSnapshots();
  closing_ = true;
  if (database_ != nullptr && !closeStarted_) database_->CancelBackgroundWork();
}

void DatabaseObject::End() {
  EndIteratorsAndSnapshots();
  closing_ = true;
  closeCall_.reset();
  if (database_ != nullptr) database_->Close();
  database_.reset();
  environment_->databases.erase(this);
}

void DatabaseObject::Abandon() {
  // Never deleted: what hangs in it may come back.
  static_cast<void>(new std::shared_ptr<Database>(std::move(database_)));
  database_.reset();
  environment_->databases.erase(this);
}

}  // namespace flinkjob
