// A record's key as an expression gives it: `key: { lua: 'r.origin .. r.carrier' }`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/pipeline/lua_sandbox.h"

namespace millrace {

// Not thread-safe.
class LuaKey {
 public:
  // INVALID_ARGUMENT when the expression does not compile.
  static absl::StatusOr<LuaKey> Create(const std::string& expression);

  // Text as it is, a number or a truth value as JSON writes it, a list as a compact JSON array.
  // INVALID_ARGUMENT when the expression fails, or gives nil or another table. Valid until the next call.
  absl::StatusOr<std::string_view> Take(const RecordView& record);

 private:
  LuaKey(std::unique_ptr<LuaSandbox> sandbox, LuaSandbox::ChunkId chunk)
      : sandbox_(std::move(sandbox)), chunk_(chunk) {}

  std::unique_ptr<LuaSandbox> sandbox_;
  LuaSandbox::ChunkId chunk_;
  std::string packed_;
  std::string json_;
};

}  // namespace millrace
