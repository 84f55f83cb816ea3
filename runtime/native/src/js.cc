#include "js.h"

#include <cmath>

namespace flinkjob {

void CheckNapi(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) throw JavaScriptThrew{};
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  InvalidArgument(info != nullptr && info->error_message != nullptr ? info->error_message : "a call into JavaScript failed");
}

Call ReadCall(napi_env env, napi_callback_info info) {
  Call call{env};
  // Missing arguments come as undefined.
  CheckNapi(env, napi_get_cb_info(env, info, &call.argumentCount, call.arguments, &call.self, nullptr));
  return call;
}

napi_valuetype TypeOf(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) CheckNapi(env, napi_typeof(env, value, &type));
  return type;
}

bool IsUndefined(napi_env env, napi_value value) { return TypeOf(env, value) == napi_undefined; }

uint64_t ReadInteger(napi_env env, napi_value value, const char* name, uint64_t max) {
  double number = -1;
  if (TypeOf(env, value) == napi_number) CheckNapi(env, napi_get_value_double(env, value, &number));
  // NaN fails the first comparison.
  if (!(number >= 0) || number > static_cast<double>(max) || number != std::floor(number)) {
    InvalidArgument(std::string(name) + " must be an integer from 0 to " + std::to_string(max));
  }
  return static_cast<uint64_t>(number);
}

bool ReadBoolean(napi_env env, napi_value value, const char* name) {
  if (TypeOf(env, value) != napi_boolean) InvalidArgument(std::string(name) + " must be a boolean");
  bool result = false;
  CheckNapi(env, napi_get_value_bool(env, value, &result));
  return result;
}

std::string ReadText(napi_env env, napi_value value, const char* name, size_t sizeMax) {
  if (TypeOf(env, value) != napi_string) InvalidArgument(std::string(name) + " must be a string");
  size_t size = 0;
  CheckNapi(env, napi_get_value_string_utf8(env, value, nullptr, 0, &size));
  if (size > sizeMax) InvalidArgument(std::string(name) + " is longer than " + std::to_string(sizeMax) + " bytes");
  std::vector<char> text(size + 1);
  CheckNapi(env, napi_get_value_string_utf8(env, value, text.data(), text.size(), &size));
  return std::string(text.data(), size);
}

std::string ReadName(napi_env env, napi_value value, const char* name) {
  std::string text = ReadText(env, value, name, 4096);
  if (text.empty() || text.find('\0') != std::string::npos) {
    InvalidArgument(std::string(name) + " must be a string of at least one character, without NUL");
  }
  return text;
}

namespace {

/** Memory of a typed array of `wanted` type; `length` in elements. */
void* ReadTypedArray(napi_env env, napi_value value, const char* name, napi_typedarray_type wanted, size_t* length) {
  const char* typeName = wanted == napi_uint8_array ? "Uint8Array" : "Uint32Array";
  bool isTypedArray = false;
  if (value != nullptr) CheckNapi(env, napi_is_typedarray(env, value, &isTypedArray));
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (isTypedArray) {
    size_t offset = 0;
    CheckNapi(env, napi_get_typedarray_info(env, value, &type, length, &data, &buffer, &offset));
  }
  if (!isTypedArray || type != wanted) InvalidArgument(std::string(name) + " must be a " + typeName);
  bool isOwn = false;
  CheckNapi(env, napi_is_arraybuffer(env, buffer, &isOwn));
  if (!isOwn) InvalidArgument(std::string(name) + " must not be over a SharedArrayBuffer: another thread could change it during the call");
  // A detached buffer has length 0; its pointer means nothing.
  if (*length == 0) data = nullptr;
  if (data == nullptr) *length = 0;
  return data;
}

}  // namespace

Bytes ReadBytes(napi_env env, napi_value value, const char* name) {
  size_t length = 0;
  void* data = ReadTypedArray(env, value, name, napi_uint8_array, &length);
  return {static_cast<uint8_t*>(data), length};
}

std::string ReadBytesCopy(napi_env env, napi_value value, const char* name) {
  const Bytes bytes = ReadBytes(env, value, name);
  return bytes.size == 0 ? std::string() : std::string(reinterpret_cast<char*>(bytes.data), bytes.size);
}

Words ReadWords(napi_env env, napi_value value, const char* name) {
  size_t length = 0;
  void* data = ReadTypedArray(env, value, name, napi_uint32_array, &length);
  return {static_cast<uint32_t*>(data), length};
}

std::vector<napi_value> ReadArray(napi_env env, napi_value value, const char* name, uint32_t max) {
  bool isArray = false;
  if (value != nullptr) CheckNapi(env, napi_is_array(env, value, &isArray));
  if (!isArray) InvalidArgument(std::string(name) + " must be an array");
  uint32_t length = 0;
  CheckNapi(env, napi_get_array_length(env, value, &length));
  if (length > max) InvalidArgument(std::string(name) + " has more than " + std::to_string(max) + " elements");
  std::vector<napi_value> elements(length);
  for (uint32_t index = 0; index < length; index++) {
    CheckNapi(env, napi_get_element(env, value, index, &elements[index]));
  }
  return elements;
}

napi_value ReadProperty(napi_env env, napi_value object, const char* name) {
  const napi_valuetype type = TypeOf(env, object);
  if (type != napi_object && type != napi_function) InvalidArgument(std::string("expected an object with the field ") + name);
  napi_value value = nullptr;
  CheckNapi(env, napi_get_named_property(env, object, name, &value));
  return value;
}

bool Overlaps(Bytes one, Bytes other) {
  return one.size > 0 && other.size > 0 && one.data < other.data + other.size && other.data < one.data + one.size;
}

napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  CheckNapi(env, napi_get_undefined(env, &value));
  return value;
}

napi_value MakeNumber(napi_env env, double number) {
  napi_value value = nullptr;
  CheckNapi(env, napi_create_double(env, number, &value));
  return value;
}

napi_value MakeString(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  CheckNapi(env, napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

void SetProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  CheckNapi(env, napi_set_named_property(env, object, name, value));
}

napi_value MakeError(napi_env env, const NativeError& error) {
  napi_value made = nullptr;
  CheckNapi(env, napi_create_error(env, MakeString(env, error.code), MakeString(env, error.message), &made));
  if (error.neededBytes > 0) SetProperty(env, made, "neededBytes", MakeNumber(env, static_cast<double>(error.neededBytes)));
  return made;
}

napi_value ThrowInJavaScript(napi_env env, const NativeError& error) {
  try {
    napi_throw(env, MakeError(env, error));
  } catch (const JavaScriptThrew&) {
    // Something is already being thrown, or the thread is being terminated: that is what is seen.
  } catch (const NativeError&) {
    napi_throw_error(env, error.code, "the error could not be described");
  }
  return nullptr;
}

}  // namespace flinkjob
