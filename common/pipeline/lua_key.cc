#include "common/pipeline/lua_key.h"

#include <utility>

#include "common/pipeline/pipeline.h"
#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {

absl::StatusOr<LuaKey> LuaKey::Create(const std::string& expression) {
  absl::StatusOr<std::unique_ptr<LuaSandbox>> sandbox =
      LuaSandbox::Create(PipelineOptions().lua_memory_bytes);
  if (!sandbox.ok()) return sandbox.status();
  const absl::StatusOr<LuaSandbox::ChunkId> chunk = (*sandbox)->AddExpressions("key", {expression});
  if (!chunk.ok()) return chunk.status();
  return LuaKey(*std::move(sandbox), *chunk);
}

absl::StatusOr<std::string_view> LuaKey::Take(const RecordView& record) {
  LuaInput input;
  input.record = &record;
  input.time_ms = record.time_ms;
  packed_.clear();
  if (absl::Status run = sandbox_->Evaluate(chunk_, input, &packed_); !run.ok()) return run;

  PackToken token;
  if (!PackReader(packed_).Next(&token)) return absl::InternalError("the key's expression gave no value");
  switch (token.type) {
    case PackToken::Type::kString:
    case PackToken::Type::kBinary:
      return token.text;
    case PackToken::Type::kNil:
      return absl::InvalidArgumentError(
          "no key: its expression gives nil — is a field of the record missing?");
    case PackToken::Type::kMap:
      return absl::InvalidArgumentError("no key: its expression gives a table — make it text or a list");
    default:
      break;
  }
  json_.clear();
  if (absl::Status written = AppendPackedJson(packed_, &json_); !written.ok()) return written;
  return json_;
}

}  // namespace millrace
