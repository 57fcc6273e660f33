#include "common/handler/batch.h"

#include "absl/container/flat_hash_map.h"
#include "common/value/msgpack.h"

namespace millrace {

std::string BatchBody(std::string_view id, uint32_t attempt, absl::Span<const BatchCall> calls) {
  absl::flat_hash_map<std::pair<uint64_t, std::string_view>, uint32_t> position_of_key;
  std::string keys, rows;
  PackWriter key_writer(&keys), row_writer(&rows);
  for (const auto& [call, state] : calls) {
    const auto [key, is_new] =
        position_of_key.try_emplace({call->asker, call->key}, static_cast<uint32_t>(position_of_key.size()));
    if (is_new) {
      key_writer.Array(2);
      key_writer.Binary(call->key);
      keys.append(state);
    }
    row_writer.Array(6);
    row_writer.Int(call->is_timer ? 1 : 0);
    row_writer.Uint(key->second);
    rows.append(call->packed);
  }
  const bool ending = calls.front().call->ending;
  std::string body;
  body.reserve(keys.size() + rows.size() + 128);
  PackWriter writer(&body);
  writer.Map(ending ? 5 : 4);
  writer.String("id");
  writer.String(id);
  writer.String("attempt");
  writer.Uint(attempt);
  if (ending) {
    writer.String("ending");
    writer.Bool(true);
  }
  writer.String("keys");
  writer.Array(static_cast<uint32_t>(position_of_key.size()));
  body.append(keys);
  writer.String("calls");
  writer.Array(static_cast<uint32_t>(calls.size()));
  body.append(rows);
  return body;
}

}  // namespace millrace
