#include "common/handler/batch.h"

#include "absl/container/flat_hash_map.h"
#include "common/value/msgpack.h"

namespace millrace {

namespace {

void WritePlaces(absl::Span<const BatchCall> calls, PackWriter* writer) {
  writer->String("places");
  writer->Array(static_cast<uint32_t>(calls.size()));
  for (const BatchCall& batch_call : calls) {
    const CallPlace& place = batch_call.call->place;
    writer->Array(5);
    writer->Uint(place.asker);
    writer->Uint(place.segment.value());
    writer->Uint(place.partition.value());
    writer->Uint(place.offset.value());
    writer->Uint(place.record);
  }
}

}  // namespace

std::string BatchBody(std::string_view id, uint32_t attempt, absl::Span<const BatchCall> calls,
                      BatchReader reader) {
  absl::flat_hash_map<const void*, uint32_t> position_of_line;
  std::string keys, rows;
  PackWriter key_writer(&keys), row_writer(&rows);
  for (const auto& [call, state, line] : calls) {
    const auto [key, is_new] =
        position_of_line.try_emplace(line, static_cast<uint32_t>(position_of_line.size()));
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
  const bool is_ours = reader == BatchReader::kOwnThread;
  writer.Map(4 + (ending ? 1 : 0) + (is_ours ? 1 : 0));
  writer.String("id");
  writer.String(id);
  writer.String("attempt");
  writer.Uint(attempt);
  if (ending) {
    writer.String("ending");
    writer.Bool(true);
  }
  writer.String("keys");
  writer.Array(static_cast<uint32_t>(position_of_line.size()));
  body.append(keys);
  if (is_ours) WritePlaces(calls, &writer);
  writer.String("calls");
  writer.Array(static_cast<uint32_t>(calls.size()));
  body.append(rows);
  return body;
}

}  // namespace millrace
