#include "export-import.h"

#include <algorithm>
#include <cctype>

namespace flinkjob {

namespace {

using rocksdb::ExportImportFilesMetaData;
using rocksdb::LiveFileMetaData;

constexpr uint32_t exportsMax = 4096;
constexpr uint32_t filesMax = 1 << 20;
constexpr size_t metadataBytesMax = 1 << 28;
/** RocksDB's default number of levels. */
constexpr uint64_t levelMax = 6;
/** Sequence numbers have 56 bits. */
constexpr uint64_t sequenceMax = (uint64_t{1} << 56) - 1;
/** An internal key is the user's key and 8 bytes of sequence number and type. */
constexpr size_t internalKeyBytesMin = 8;

/** `JSON.parse` or `JSON.stringify` of this thread. What they give is checked like everything else. */
napi_value CallJson(napi_env env, const char* function, napi_value argument) {
  napi_value global = nullptr;
  CheckNapi(env, napi_get_global(env, &global));
  const napi_value json = ReadProperty(env, global, "JSON");
  napi_value result = nullptr;
  const napi_status status = napi_call_function(env, json, ReadProperty(env, json, function), 1, &argument, &result);
  if (status == napi_pending_exception) {
    napi_value syntaxError = nullptr;
    if (napi_get_and_clear_last_exception(env, &syntaxError) == napi_ok) InvalidArgument("the metadata of an export is not JSON");
  }
  CheckNapi(env, status);
  return result;
}

napi_value MakeHex(napi_env env, const std::string& bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    hex.push_back(digits[byte >> 4]);
    hex.push_back(digits[byte & 15]);
  }
  return MakeString(env, hex);
}

std::string ReadField(napi_env env, napi_value object, const char* name) {
  return ReadText(env, ReadProperty(env, object, name), name, metadataBytesMax);
}

std::string ReadHex(napi_env env, napi_value object, const char* name) {
  const std::string hex = ReadField(env, object, name);
  const bool isHex = std::all_of(hex.begin(), hex.end(), [](unsigned char digit) { return isxdigit(digit) != 0; });
  if (!isHex || hex.size() % 2 != 0) InvalidArgument(std::string("metadata: ") + name + " must be hexadecimal");
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (size_t at = 0; at < hex.size(); at += 2) bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  return bytes;
}

std::string ReadInternalKey(napi_env env, napi_value object, const char* name) {
  const std::string key = ReadHex(env, object, name);
  if (key.size() < internalKeyBytesMin) InvalidArgument(std::string("metadata: ") + name + " is too short for an internal key");
  return key;
}

/** 64-bit numbers are strings in JSON. */
uint64_t ReadBigNumber(napi_env env, napi_value object, const char* name, uint64_t max) {
  const std::string text = ReadField(env, object, name);
  const bool isNumber = !text.empty() && text.size() <= 18 &&
                        std::all_of(text.begin(), text.end(), [](unsigned char digit) { return isdigit(digit) != 0; });
  const uint64_t number = isNumber ? std::stoull(text) : 0;
  if (!isNumber || number > max) InvalidArgument(std::string("metadata: ") + name + " must be a number of at most " + std::to_string(max));
  return number;
}

/** A file of the export's own directory, and of no other. */
std::string ReadFileName(napi_env env, napi_value object) {
  const std::string name = ReadField(env, object, "name");
  const size_t dot = name.size() < 6 ? 0 : name.size() - 4;
  const bool isTable = dot > 1 && name[0] == '/' && name.substr(dot) == ".sst" &&
                       std::all_of(name.begin() + 1, name.begin() + dot, [](unsigned char digit) { return isdigit(digit) != 0; });
  if (!isTable) InvalidArgument("metadata: name must be that of an .sst file");
  return name;
}

LiveFileMetaData ReadFile(napi_env env, napi_value value, const std::string& directory) {
  LiveFileMetaData file;
  file.name = ReadFileName(env, value);
  file.db_path = directory;
  // Size 0 makes RocksDB ask the file system, which knows better than what came with the files.
  file.size = 0;
  file.level = static_cast<int>(ReadInteger(env, ReadProperty(env, value, "level"), "metadata: level", levelMax));
  file.smallest_seqno = ReadBigNumber(env, value, "smallestSequence", sequenceMax);
  file.largest_seqno = ReadBigNumber(env, value, "largestSequence", sequenceMax);
  file.epoch_number = ReadBigNumber(env, value, "epoch", sequenceMax);
  file.smallestkey = ReadHex(env, value, "smallestKey");
  file.largestkey = ReadHex(env, value, "largestKey");
  file.smallest = ReadInternalKey(env, value, "smallest");
  file.largest = ReadInternalKey(env, value, "largest");
  return file;
}

}  // namespace

napi_value MakeExportMetadata(napi_env env, const ExportImportFilesMetaData& metadata) {
  napi_value files = nullptr;
  CheckNapi(env, napi_create_array_with_length(env, metadata.files.size(), &files));
  for (uint32_t index = 0; index < metadata.files.size(); index++) {
    const LiveFileMetaData& file = metadata.files[index];
    napi_value object = nullptr;
    CheckNapi(env, napi_create_object(env, &object));
    SetProperty(env, object, "name", MakeString(env, file.name));
    SetProperty(env, object, "level", MakeNumber(env, file.level));
    SetProperty(env, object, "smallestSequence", MakeString(env, std::to_string(file.smallest_seqno)));
    SetProperty(env, object, "largestSequence", MakeString(env, std::to_string(file.largest_seqno)));
    SetProperty(env, object, "epoch", MakeString(env, std::to_string(file.epoch_number)));
    SetProperty(env, object, "smallestKey", MakeHex(env, file.smallestkey));
    SetProperty(env, object, "largestKey", MakeHex(env, file.largestkey));
    SetProperty(env, object, "smallest", MakeHex(env, file.smallest));
    SetProperty(env, object, "largest", MakeHex(env, file.largest));
    CheckNapi(env, napi_set_element(env, files, index, object));
  }
  napi_value whole = nullptr;
  CheckNapi(env, napi_create_object(env, &whole));
  SetProperty(env, whole, "comparator", MakeString(env, metadata.db_comparator_name));
  SetProperty(env, whole, "files", files);
  return CallJson(env, "stringify", whole);
}

std::vector<std::shared_ptr<ExportImportFilesMetaData>> ReadExports(napi_env env, napi_value value) {
  std::vector<std::shared_ptr<ExportImportFilesMetaData>> exports;
  for (napi_value element : ReadArray(env, value, "exports", exportsMax)) {
    const std::string directory = ReadName(env, ReadProperty(env, element, "path"), "exports.path");
    const napi_value text = ReadProperty(env, element, "metadata");
    if (TypeOf(env, text) != napi_string) InvalidArgument("exports.metadata must be a string");
    const napi_value metadata = CallJson(env, "parse", text);
    auto made = std::make_shared<ExportImportFilesMetaData>();
    made->db_comparator_name = ReadField(env, metadata, "comparator");
    for (napi_value file : ReadArray(env, ReadProperty(env, metadata, "files"), "metadata: files", filesMax)) {
      made->files.push_back(ReadFile(env, file, directory));
    }
    if (!made->files.empty()) exports.push_back(std::move(made));
  }
  return exports;
}

}  // namespace flinkjob
