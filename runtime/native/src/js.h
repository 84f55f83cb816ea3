// Reading arguments and making results. Nothing is trusted: a wrong type, length or number is an `InvalidArgument` that names the argument.
// Reading a property can run JavaScript (a getter, a proxy), and that can close the database we are about to use. So every function reads all
// its arguments first, and looks at the database, or keeps a pointer into a buffer, only after the last property was read.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <node_api.h>

#include "errors.h"

namespace flinkjob {

/** A view of a typed array's memory. Valid only until JavaScript runs again. */
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

struct Words {
  uint32_t* data = nullptr;
  size_t count = 0;
  Bytes AsBytes() const { return {reinterpret_cast<uint8_t*>(data), count * sizeof(uint32_t)}; }
};

/** More arguments than any function has. */
constexpr size_t argumentsMax = 8;

struct Call {
  napi_env env;
  napi_value self = nullptr;
  napi_value arguments[argumentsMax] = {};
  size_t argumentCount = argumentsMax;
};

void CheckNapi(napi_env env, napi_status status);

napi_valuetype TypeOf(napi_env env, napi_value value);
/** Undefined and a missing argument are the same. */
bool IsUndefined(napi_env env, napi_value value);

/** An integer from 0 to `max`. */
uint64_t ReadInteger(napi_env env, napi_value value, const char* name, uint64_t max);
bool ReadBoolean(napi_env env, napi_value value, const char* name);
/** At most 4096 bytes of UTF-8 without NUL: names and paths. */
std::string ReadName(napi_env env, napi_value value, const char* name);
std::string ReadText(napi_env env, napi_value value, const char* name, size_t sizeMax);
/** A Uint8Array (so also a Buffer) over an ArrayBuffer of this thread alone; shared memory could change while it is being checked. */
Bytes ReadBytes(napi_env env, napi_value value, const char* name);
std::string ReadBytesCopy(napi_env env, napi_value value, const char* name);
Words ReadWords(napi_env env, napi_value value, const char* name);
/** The elements of an array; at most `max` of them. */
std::vector<napi_value> ReadArray(napi_env env, napi_value value, const char* name, uint32_t max);
napi_value ReadProperty(napi_env env, napi_value object, const char* name);

bool Overlaps(Bytes one, Bytes other);

napi_value Undefined(napi_env env);
napi_value MakeNumber(napi_env env, double value);
napi_value MakeString(napi_env env, const std::string& value);
napi_value MakeError(napi_env env, const NativeError& error);
void SetProperty(napi_env env, napi_value object, const char* name, napi_value value);

Call ReadCall(napi_env env, napi_callback_info info);
/** Throws in JavaScript what `error` says. Gives nullptr, to be returned at once. */
napi_value ThrowInJavaScript(napi_env env, const NativeError& error);

/** The C function that JavaScript calls: no C++ exception leaves it, for above it are frames that cannot carry one. */
template <napi_value (*Function)(Call&)>
napi_value Entry(napi_env env, napi_callback_info info) {
  try {
    Call call = ReadCall(env, info);
    return Function(call);
  } catch (const NativeError& error) {
    return ThrowInJavaScript(env, error);
  } catch (const JavaScriptThrew&) {
    return nullptr;
  } catch (const std::bad_alloc&) {
    return ThrowInJavaScript(env, {"MemoryLimit", "no memory left for a native buffer"});
  } catch (const std::exception& error) {
    return ThrowInJavaScript(env, {"InvalidArgument", error.what()});
  }
}

}  // namespace flinkjob
