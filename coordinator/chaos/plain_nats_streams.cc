// JetStream, by its documented API: streams and messages.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"
#include "coordinator/chaos/plain_nats.h"

namespace millrace::chaos {
namespace {

constexpr int kBatchMessages = 500;
constexpr absl::Duration kBatchTimeout = absl::Seconds(10);

std::string HeaderBlock(const PlainMessage& message) {
  if (message.headers.empty()) return "";
  std::string block = "NATS/1.0\r\n";
  for (const auto& [name, value] : message.headers) StrAppend(&block, name, ": ", value, "\r\n");
  return block + "\r\n";
}

absl::Status ApiError(const std::string& call, const nlohmann::json& answer) {
  const auto& error = answer["error"];
  const std::string text = StrCat(call, ": ", error.value("description", "refused"));
  return error.value("code", 0) == 404 ? absl::NotFoundError(text) : absl::FailedPreconditionError(text);
}

// $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
uint64_t SequenceOf(const std::string& ack_subject) {
  const std::vector<std::string> tokens = absl::StrSplit(ack_subject, '.');
  uint64_t sequence = 0;
  if (tokens.size() < 9 || !absl::SimpleAtoi(tokens[tokens.size() - 4], &sequence)) return 0;
  return sequence;
}

std::string Decoded(const nlohmann::json& object, const char* field) {
  std::string bytes;
  if (!absl::Base64Unescape(object.value(field, ""), &bytes)) return "";
  return bytes;
}

}  // namespace

absl::StatusOr<nlohmann::json> PlainNats::Api(const std::string& call, const nlohmann::json& body,
                                              absl::Duration timeout) {
  const auto text = Request("$JS.API." + call, body.is_null() ? "" : body.dump(), timeout);
  if (!text.ok()) return text.status();
  auto answer = nlohmann::json::parse(*text, nullptr, false);
  if (!answer.is_object()) return absl::InternalError(call + ": no JSON");
  if (answer.contains("error")) return ApiError(call, answer);
  return answer;
}

absl::StatusOr<uint64_t> PlainNats::Append(const std::string& subject, const PlainMessage& message,
                                           absl::Duration timeout) {
  const auto frame = Ask(subject, HeaderBlock(message), message.payload, timeout);
  if (!frame.ok()) return frame.status();
  const auto answer = nlohmann::json::parse(frame->message.payload, nullptr, false);
  if (!answer.is_object()) return absl::InternalError(subject + ": no JSON");
  if (answer.contains("error")) return ApiError(subject, answer);
  return answer.value("seq", uint64_t{0});
}

absl::StatusOr<PlainMessage> PlainNats::Stored(const std::string& stream, const nlohmann::json& which,
                                               absl::Duration timeout) {
  const auto answer = Api("STREAM.MSG.GET." + stream, which, timeout);
  if (!answer.ok()) return answer.status();
  const auto& stored = (*answer)["message"];
  PlainMessage message;
  std::string status;
  message.sequence = stored.value("seq", uint64_t{0});
  message.TakeHeaderBlock(Decoded(stored, "hdrs"), &status);
  message.payload = Decoded(stored, "data");
  return message;
}

absl::Status PlainNats::ReadAll(const std::string& stream, const std::function<void(PlainMessage)>& visit) {
  const auto info = Api("STREAM.INFO." + stream);
  if (!info.ok()) return info.status();
  const auto& state = (*info)["state"];
  if (state.value("messages", uint64_t{0}) == 0) return absl::OkStatus();
  const nlohmann::json config = {{"deliver_policy", "all"},
                                 {"ack_policy", "none"},
                                 {"replay_policy", "instant"},
                                 {"mem_storage", true},
                                 {"inactive_threshold", 30'000'000'000}};
  const auto made = Api("CONSUMER.CREATE." + stream, {{"stream_name", stream}, {"config", config}});
  if (!made.ok()) return made.status();
  const std::string consumer = made->value("name", "");
  absl::Status status = ReadBatches(stream, consumer, state.value("last_seq", uint64_t{0}), visit);
  // A courtesy: the server forgets it by itself.
  static_cast<void>(Api(StrCat("CONSUMER.DELETE.", stream, ".", consumer)));
  return status;
}

absl::Status PlainNats::ReadBatches(const std::string& stream, const std::string& consumer, uint64_t last,
                                    const std::function<void(PlainMessage)>& visit) {
  const std::string body = nlohmann::json{{"batch", kBatchMessages}, {"no_wait", true}}.dump();
  uint64_t seen = 0;
  while (seen < last) {
    const std::string inbox = NewInbox();
    if (absl::Status sent = Send(StrCat("PUB $JS.API.CONSUMER.MSG.NEXT.", stream, ".", consumer, " ", inbox,
                                        " ", body.size(), "\r\n", body, "\r\n"));
        !sent.ok()) {
      return sent;
    }
    for (int i = 0; i < kBatchMessages && seen < last; ++i) {
      auto frame = Next(absl::Now() + kBatchTimeout);
      if (!frame.ok()) return frame.status();
      if (frame->subject != inbox && frame->reply.empty()) {
        --i;  // the end of the batch before
        continue;
      }
      if (!frame->status.empty()) break;  // no more for now
      const uint64_t sequence = SequenceOf(frame->reply);
      if (sequence <= seen) {
        return absl::DataLossError(StrCat(stream, ": sequence ", sequence, " after ", seen));
      }
      seen = sequence;
      frame->message.sequence = sequence;
      visit(std::move(frame->message));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::chaos
