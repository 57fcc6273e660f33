// Any bytes as JSON: what is accepted is JSON for another parser too, and what is written from it reads back
// as the same value.
#include <cstdint>
#include <string>

#include "common/value/value.h"
#include "nlohmann/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;  // NOLINT(google-build-using-namespace): one file, all of it under test
  static JsonReader reader;
  static JsonReader again;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!reader.Parse(text).ok()) return 0;
  if (!nlohmann::json::accept(text)) __builtin_trap();
  if (reader.is_object()) {
    (void)reader.KeyText("a");
    (void)reader.KeyText("a.b");
  }

  const uint32_t shape = reader.is_object() ? kFirstRowShape : kPackedShape;
  std::string json;
  if (!AppendJson({reader.bytes(), shape, &reader.fields()}, &json).ok()) __builtin_trap();
  if (!again.Parse(json).ok() || again.is_object() != reader.is_object()) __builtin_trap();
  if (again.bytes() != reader.bytes()) __builtin_trap();
  if (reader.is_object() && again.fields() != reader.fields()) __builtin_trap();
  return 0;
}
