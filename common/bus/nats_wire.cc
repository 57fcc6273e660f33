#include "common/bus/nats_wire.h"

#include <array>
#include <charconv>

#include "absl/time/time.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kAckPrefix = "$JS.ACK.";

// `err_code` of the API (server/errors.json in nats-server).
enum ApiErrorCode : int {
  kInsufficientResources = 10023,
  kNoMessageFound = 10037,
  kNotEnabledForAccount = 10039,
  kStorageExceeded = 10047,
  kMemoryExceeded = 10028,
  kMessageTooLarge = 10054,
  kStreamNameInUse = 10058,
  kStreamNotFound = 10059,
  kSubjectsOverlap = 10065,
  kWrongLastMessageId = 10070,
  kWrongLastSequence = 10071,
  kReplicasNotSupported = 10074,
  kNotEnabled = 10076,
  kStoreFailed = 10077,
  kWrongLastSequenceConstant = 10164,
};

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<AckSubject> ParseAckSubject(std::string_view subject) {
  if (!subject.starts_with(kAckPrefix)) return std::nullopt;
  subject.remove_prefix(kAckPrefix.size());
  std::array<std::string_view, 16> tokens;
  size_t count = 0;
  while (count < tokens.size()) {
    const size_t dot = subject.find('.');
    tokens[count++] = subject.substr(0, dot);
    if (dot == std::string_view::npos) break;
    subject.remove_prefix(dot + 1);
  }
  // 7 tokens in the short form; the long one has domain and account hash in front, and may have a random
  // token at the end.
  size_t first = 0;
  if (count >= 9) {
    first = 2;
  } else if (count != 7) {
    return std::nullopt;
  }
  AckSubject ack;
  ack.stream = tokens[first];
  ack.consumer = tokens[first + 1];
  if (!ParseNumber(tokens[first + 3], &ack.stream_sequence) ||
      !ParseNumber(tokens[first + 4], &ack.consumer_sequence) ||
      !ParseNumber(tokens[first + 5], &ack.time_ns)) {
    return std::nullopt;
  }
  return ack;
}

std::optional<std::string_view> FindHeader(std::string_view block, std::string_view name) {
  size_t line = block.find("\r\n");
  while (line != std::string_view::npos) {
    std::string_view rest = block.substr(line + 2);
    const size_t end = rest.find("\r\n");
    const std::string_view text = rest.substr(0, end);
    if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == ':') {
      return Trim(text.substr(name.size() + 1));
    }
    line = end == std::string_view::npos ? end : line + 2 + end;
  }
  return std::nullopt;
}

absl::Status ApiError(const nlohmann::json& error) {
  if (!error.is_object()) return absl::UnavailableError("the server's error has no known form");
  const int code = error.value("code", 0);
  const std::string description = error.value("description", std::string("no description"));
  switch (error.value("err_code", 0)) {
    case kStreamNotFound:
    case kNoMessageFound:
      return absl::NotFoundError(description);
    case kStreamNameInUse:
      return absl::AlreadyExistsError(description);
    case kWrongLastSequence:
    case kWrongLastSequenceConstant:
    case kWrongLastMessageId:
    case kSubjectsOverlap:
    case kReplicasNotSupported:
    case kNotEnabled:
    case kNotEnabledForAccount:
      return absl::FailedPreconditionError(description);
    case kMessageTooLarge:
      return absl::InvalidArgumentError(description);
    case kInsufficientResources:
    case kStorageExceeded:
    case kMemoryExceeded:
      return absl::ResourceExhaustedError(
          StrCat("NATS has no room left for JetStream (", description,
                 ") — `coordinator delete` jobs that are over, or raise its max_file_store"));
    case kStoreFailed:
      return description.find("maximum") != std::string::npos ? absl::ResourceExhaustedError(description)
                                                              : absl::UnavailableError(description);
    default:
      break;
  }
  if (code == 404) return absl::NotFoundError(description);
  if (code >= 400 && code < 500 && code != 408) return absl::FailedPreconditionError(description);
  return absl::UnavailableError(description);
}

absl::StatusOr<nlohmann::json> ParseApiReply(std::string_view payload) {
  nlohmann::json reply = nlohmann::json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return absl::UnavailableError("the server's answer is not JSON");
  if (const auto error = reply.find("error"); error != reply.end()) return ApiError(*error);
  return reply;
}

absl::StatusOr<uint64_t> ParseAppendAck(std::string_view payload) {
  // {"stream":"S","seq":17} and its like come for every append; only a refusal is worth a JSON parser.
  constexpr std::string_view kSequence = "\"seq\":";
  const size_t at = payload.rfind(kSequence);
  if (at != std::string_view::npos && payload.find("\"error\"") == std::string_view::npos) {
    uint64_t sequence = 0;
    for (size_t i = at + kSequence.size(); i < payload.size(); ++i) {
      if (payload[i] == ' ') continue;
      if (payload[i] < '0' || payload[i] > '9') break;
      sequence = sequence * 10 + static_cast<uint64_t>(payload[i] - '0');
    }
    if (sequence > 0) return sequence;
  }
  const absl::StatusOr<nlohmann::json> reply = ParseApiReply(payload);
  if (!reply.ok()) return reply.status();
  return absl::UnavailableError("the append's answer has no sequence");
}

int64_t ParseServerTimeNs(const std::string& text) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return 0;
  return absl::ToUnixNanos(time);
}

}  // namespace millrace
