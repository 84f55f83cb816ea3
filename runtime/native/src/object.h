// JavaScript objects that stand for native ones. A method checks the type tag of `this` before it touches what is wrapped, because nothing stops a
// caller from borrowing a method for another object.
#pragma once
#include <vector>

#include "js.h"

namespace flinkjob {

struct Method {
  const char* name;
  napi_callback function;
};

/** A class whose objects only `WrapNew` makes; `new` from JavaScript gives an object that every method refuses. */
inline napi_ref DefineObjectClass(napi_env env, const char* name, const std::vector<Method>& methods) {
  std::vector<napi_property_descriptor> properties;
  for (const Method& method : methods) {
    properties.push_back({method.name, nullptr, method.function, nullptr, nullptr, nullptr, napi_default_method, nullptr});
  }
  napi_value constructor = nullptr;
  CheckNapi(env, napi_define_class(
                     env, name, NAPI_AUTO_LENGTH, [](napi_env, napi_callback_info) -> napi_value { return nullptr; }, nullptr,
                     properties.size(), properties.data(), &constructor));
  napi_ref reference = nullptr;
  CheckNapi(env, napi_create_reference(env, constructor, 1, &reference));
  return reference;
}

/** The new object owns `native`: its `End` is called and it is deleted when the object is gone. */
template <typename T>
napi_value WrapNew(napi_env env, napi_ref objectClass, const napi_type_tag& tag, std::unique_ptr<T> native) {
  napi_value constructor = nullptr;
  napi_value object = nullptr;
  CheckNapi(env, napi_get_reference_value(env, objectClass, &constructor));
  CheckNapi(env, napi_new_instance(env, constructor, 0, nullptr, &object));
  CheckNapi(env, napi_type_tag_object(env, object, &tag));
  const auto finalize = [](napi_env, void* data, void*) {
    const std::unique_ptr<T> collected(static_cast<T*>(data));
    collected->End();
  };
  CheckNapi(env, napi_wrap(env, object, native.get(), finalize, nullptr, nullptr));
  native.release();
  return object;
}

template <typename T>
T* Unwrap(napi_env env, napi_value value, const napi_type_tag& tag, const char* what) {
  bool isTagged = false;
  const napi_valuetype type = TypeOf(env, value);
  if (type == napi_object) CheckNapi(env, napi_check_object_type_tag(env, value, &tag, &isTagged));
  void* data = nullptr;
  // A tagged object is not yet wrapped when wrapping it failed.
  if (!isTagged || napi_unwrap(env, value, &data) != napi_ok || data == nullptr) InvalidArgument(std::string("expected ") + what);
  return static_cast<T*>(data);
}

}  // namespace flinkjob
