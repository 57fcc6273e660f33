// A record's value: raw bytes, one MessagePack value, or a row (see frame.h), and its way from and to JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/value/msgpack.h"

namespace millrace {

// A value where it lies.
struct ValueView {
  std::string_view bytes;
  uint32_t shape = kRawShape;
  const FieldNames* fields = nullptr;

  static ValueView Of(const RecordView& record) { return {record.value, record.shape, record.fields}; }
};

// The MessagePack bytes of field `path` ("a.b" goes into maps) of an object; nullopt when there is no such
// field or the value is no object.
std::optional<std::string_view> FindField(const ValueView& value, std::string_view path);

// Appends the value as JSON: fields in their order, doubles in the shortest form that reads back the same, NaN
// and infinities as null, raw bytes as a string. INVALID_ARGUMENT when those are not UTF-8: what is written then
// (`value_base64`) is the caller's choice.
absl::Status AppendJson(const ValueView& value, std::string* out);
// The same for one packed MessagePack value.
absl::Status AppendPackedJson(std::string_view packed, std::string* out);

bool IsValidUtf8(std::string_view bytes);
// The first byte that is part of no UTF-8 character; the size when all are.
size_t FindInvalidUtf8(std::string_view text);
std::string Base64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);  // nullopt: it is none

// Turns JSON text into a value. One a thread; not thread-safe; reuses its buffers (no allocation for each
// record once warm).
class JsonReader {
 public:
  JsonReader();
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  // A JSON object becomes a row (fields() names its columns in their order; duplicate names keep the last),
  // anything else one packed value. Integers stay exact within int64 and uint64; larger ones and fractions
  // are doubles. INVALID_ARGUMENT with what is wrong and at which byte; also for non-UTF-8 and for nesting
  // over kMaxPackDepth. The views are valid until the next call.
  absl::Status Parse(std::string_view json);
  bool is_object() const;
  const FieldNames& fields() const;
  std::string_view bytes() const;  // the row's or the packed value's bytes
  // The text of a field as it was written: what makes a key of a number ("1.50" stays "1.50"). Strings are
  // unescaped. nullopt for a missing field, null, or a container. REQUIRES: the last Parse succeeded on an
  // object. `path` may go down: "a.b".
  std::optional<std::string_view> KeyText(std::string_view path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
