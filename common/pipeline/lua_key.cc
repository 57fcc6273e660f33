#include "common/pipeline/lua_key.h"

#include <utility>

#include "common/pipeline/key_text.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

absl::StatusOr<LuaKey> LuaKey::Create(const std::string& expression) {
  absl::StatusOr<std::unique_ptr<LuaSandbox>> sandbox =
      LuaSandbox::Create(PipelineOptions().lua_memory_bytes);
  if (!sandbox.ok()) return sandbox.status();
  const absl::StatusOr<LuaSandbox::ChunkId> chunk = (*sandbox)->AddExpressions("key", {}, {expression});
  if (!chunk.ok()) return chunk.status();
  return LuaKey(*std::move(sandbox), *chunk);
}

absl::StatusOr<std::string_view> LuaKey::Take(const RecordView& record) {
  LuaInput input;
  input.record = &record;
  input.time_ms = record.time_ms;
  packed_.clear();
  if (absl::Status run = sandbox_->Evaluate(chunk_, input, &packed_); !run.ok()) return run;
  return ExpressionKeyText(packed_, &json_);
}

}  // namespace millrace
