#include "sst-writer.h"

#include <rocksdb/sst_file_writer.h>

#include "async.h"
#include "column-family.h"

namespace flinkjob {

namespace {

/** Copies of what was given, because the work is done on another thread. */
struct Entries {
  std::string keys;
  std::string values;
  std::vector<uint32_t> keyEnds;
  std::vector<uint32_t> valueEnds;
};

std::vector<uint32_t> CopyEnds(Words ends, size_t count, size_t size, const char* name) {
  if (count > ends.count) InvalidArgument(std::string("count is larger than ") + name + " is long");
  const std::vector<uint32_t> copied(ends.data, ends.data + count);
  uint32_t last = 0;
  for (const uint32_t end : copied) {
    if (end < last || end > size) InvalidArgument(std::string(name) + " must ascend and stay within its buffer");
    last = end;
  }
  return copied;
}

std::string CopyBytes(Bytes bytes) {
  return bytes.size == 0 ? std::string() : std::string(reinterpret_cast<const char*>(bytes.data), bytes.size);
}

void WriteFile(const std::string& path, const ColumnFamilySpec& spec, const Entries& entries) {
  const rocksdb::Options options{rocksdb::DBOptions(), MakeColumnFamilyOptions(spec)};
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  CheckStatus(writer.Open(path), "writeSst");
  uint32_t key = 0;
  uint32_t value = 0;
  for (size_t index = 0; index < entries.keyEnds.size(); index++) {
    const uint32_t keyEnd = entries.keyEnds[index];
    const uint32_t valueEnd = entries.valueEnds[index];
    CheckStatus(writer.Put(rocksdb::Slice(entries.keys.data() + key, keyEnd - key),
                           rocksdb::Slice(entries.values.data() + value, valueEnd - value)),
                "writeSst");
    key = keyEnd;
    value = valueEnd;
  }
  CheckStatus(writer.Finish(), "writeSst");
}

}  // namespace

napi_value WriteSst(Call& call) {
  const napi_env env = call.env;
  const std::string path = ReadName(env, call.arguments[0], "path");
  const ColumnFamilySpec spec = ReadColumnFamilySpec(env, call.arguments[1]);
  const size_t count = ReadInteger(env, call.arguments[6], "count", UINT32_MAX);
  if (count == 0) InvalidArgument("a file needs at least one entry");
  const Bytes keys = ReadBytes(env, call.arguments[2], "keys");
  const Words keyEnds = ReadWords(env, call.arguments[3], "keyEnds");
  const Bytes values = ReadBytes(env, call.arguments[4], "values");
  const Words valueEnds = ReadWords(env, call.arguments[5], "valueEnds");
  Environment& environment = *Environment::Of(env);
  auto write = std::make_unique<AsyncCall>();
  write->buffers = {keys, keyEnds.AsBytes(), values, valueEnds.AsBytes()};
  for (const Bytes& buffer : write->buffers) environment.CheckFree(buffer, "a buffer");
  const auto entries = std::make_shared<const Entries>(Entries{CopyBytes(keys), CopyBytes(values),
                                                               CopyEnds(keyEnds, count, keys.size, "keyEnds"),
                                                               CopyEnds(valueEnds, count, values.size, "valueEnds")});
  for (size_t index = 2; index <= 5; index++) environment.Retain(*write, call.arguments[index]);
  write->work = [path, spec, entries] { WriteFile(path, spec, *entries); };
  return environment.Start(std::move(write), Lane::kLong);
}

}  // namespace flinkjob
