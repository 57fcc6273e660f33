// How large an output may be, and what a NATS server must take for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "common/frame/frame.h"

namespace millrace {

class Bus;

// The most that one output may have: its key, value, headers and names of fields together. A function of the
// log alone, and not of the broker at hand, so that a record fails everywhere or nowhere.
inline constexpr size_t kMaxOutputBytes = (1 << 20) - (16 << 10);
inline size_t OutputBytesOf(const RecordView& record) {
  size_t bytes = record.key.size() + record.value.size() + record.raw_headers.size();
  if (record.fields != nullptr) {
    for (const std::string_view field : *record.fields) bytes += field.size() + sizeof(uint64_t);
  }
  return bytes;
}

// What a server's max_payload must be: an output, with the frame around it and the message's headers. It is a
// NATS server's default.
inline constexpr int64_t kMinServerPayloadBytes = 1 << 20;

// FAILED_PRECONDITION where the server takes less: results would be refused for ever.
absl::Status CheckServerPayload(Bus& bus);

}  // namespace millrace
