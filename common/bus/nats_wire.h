// What JetStream writes on the wire, read without a connection: acks, ack subjects, header blocks, API
// errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace millrace {

// Where a delivered message came from, as the subject for its ack says (ADR-15). The views point into that
// subject.
struct AckSubject {
  std::string_view stream;
  std::string_view consumer;
  uint64_t stream_sequence = 0;
  uint64_t consumer_sequence = 0;
  int64_t time_ns = 0;
};
// $JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<time>.<pending>, or the longer form with domain and
// account hash before the stream. Nothing when it is neither.
std::optional<AckSubject> ParseAckSubject(std::string_view subject);

// The value of a header in a raw block ("NATS/1.0\r\nName: value\r\n…"); names compare as written.
std::optional<std::string_view> FindHeader(std::string_view block, std::string_view name);

// What an error object of the API says, as a Status whose code tells what the caller can do (bus.h).
absl::Status ApiError(const nlohmann::json& error);

// A reply of the API: the document, or the error in it. UNAVAILABLE when it is not JSON.
absl::StatusOr<nlohmann::json> ParseApiReply(std::string_view payload);

// The answer to an append: the sequence, or why not.
absl::StatusOr<uint64_t> ParseAppendAck(std::string_view payload);

// RFC 3339 as the server writes it; 0 when it is not a time.
int64_t ParseServerTimeNs(const std::string& text);

}  // namespace millrace
