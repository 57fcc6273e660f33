#include "common/bus/nats_control.h"

#include <memory>

#include "absl/strings/escaping.h"
#include "common/bus/make_stream.h"
#include "common/bus/nats_message.h"
#include "common/bus/nats_wire.h"
#include "common/frame/message_header.h"
#include "common/strings.h"

namespace millrace {
namespace {

using nlohmann::json;

json ToJson(const StreamConfig& config) {
  return {{"name", config.name},
          {"subjects", config.subjects},
          {"description", config.description},
          {"retention", "limits"},
          {"max_consumers", -1},
          {"max_msgs", -1},
          {"max_msgs_per_subject", -1},
          {"max_bytes", config.max_bytes},
          {"max_age", 0},
          {"max_msg_size", -1},
          {"storage", "file"},
          {"discard", "new"},
          {"num_replicas", config.replicas},
          {"duplicate_window", absl::ToInt64Nanoseconds(config.duplicate_window)}};
}

StreamInfo ToStreamInfo(const json& reply) {
  const json config = reply.value("config", json::object());
  const json state = reply.value("state", json::object());
  StreamInfo info;
  info.config.name = config.value("name", std::string());
  info.config.subjects = config.value("subjects", std::vector<std::string>());
  info.config.description = config.value("description", std::string());
  info.config.max_bytes = config.value("max_bytes", int64_t{-1});
  info.config.replicas = config.value("num_replicas", 1);
  info.config.duplicate_window = absl::Nanoseconds(config.value("duplicate_window", int64_t{0}));
  info.created_ns = ParseServerTimeNs(reply.value("created", std::string()));
  info.first_sequence = state.value("first_seq", uint64_t{0});
  info.last_sequence = state.value("last_seq", uint64_t{0});
  info.messages = state.value("messages", uint64_t{0});
  info.bytes = state.value("bytes", uint64_t{0});
  return info;
}

std::string Base64(const json& message, const char* field) {
  std::string decoded;
  if (!absl::Base64Unescape(message.value(field, std::string()), &decoded)) decoded.clear();
  return decoded;
}

}  // namespace

absl::StatusOr<json> NatsControl::Call(const std::string& call, const json& request) {
  const std::string subject = StrCat("$JS.API.", call);
  const std::string payload = request.is_null() ? std::string() : request.dump();
  natsMsg* reply = nullptr;
  const natsStatus s =
      natsConnection_Request(&reply, connection_.get(), subject.c_str(), payload.data(),
                             static_cast<int>(payload.size()), absl::ToInt64Milliseconds(kControlDeadline));
  const NatsMsgPtr owned(reply);
  if (s != NATS_OK) return connection_.RequestError(s, subject, call);
  return ParseApiReply(Payload(reply));
}

absl::Status NatsControl::CheckJetStream() { return Call("INFO", nullptr).status(); }

absl::StatusOr<json> NatsControl::Make(const json& config) {
  return MakeStream(config,
                    [this](const std::string& call, const json& request) { return Call(call, request); });
}

absl::StatusOr<StreamInfo> NatsControl::CreateStream(const StreamConfig& config) {
  const absl::StatusOr<json> reply = Make(ToJson(config));
  if (!reply.ok()) return reply.status();
  return ToStreamInfo(*reply);
}

absl::StatusOr<StreamInfo> NatsControl::GetStream(const std::string& name) {
  const absl::StatusOr<json> reply = Call(StrCat("STREAM.INFO.", name), nullptr);
  if (!reply.ok()) return reply.status();
  StreamInfo info = ToStreamInfo(*reply);
  if (info.created_ns <= 0) return absl::NotFoundError(StrCat("stream ", name, " is just being made"));
  made_.Note(name, clock_.Monotonic());
  return info;
}

absl::Status NatsControl::DeleteStream(const std::string& name) {
  made_.Forget(name);
  return Call(StrCat("STREAM.DELETE.", name), nullptr).status();
}

absl::Status NatsControl::PurgeStream(const std::string& name, uint64_t up_to) {
  // The server keeps `seq` itself.
  return Call(StrCat("STREAM.PURGE.", name), {{"seq", up_to + 1}}).status();
}

absl::StatusOr<std::vector<std::string>> NatsControl::ListStreams() {
  std::vector<std::string> names;
  for (;;) {
    const absl::StatusOr<json> reply = Call("STREAM.NAMES", {{"offset", names.size()}});
    if (!reply.ok()) return reply.status();
    const json page = reply->value("streams", json());
    if (page.is_array()) {
      for (const json& name : page) names.push_back(name.get<std::string>());
    }
    if (!page.is_array() || page.empty() || names.size() >= reply->value("total", size_t{0})) return names;
  }
}

absl::StatusOr<Message> NatsControl::ReadMessage(const std::string& stream, const json& which,
                                                 std::string* block) {
  if (!made_.Has(stream, clock_.Monotonic())) {
    if (absl::Status made = GetStream(stream).status(); !made.ok()) return made;
  }
  const absl::StatusOr<json> reply = Call(StrCat("STREAM.MSG.GET.", stream), which);
  if (!reply.ok()) return reply.status();
  const json stored = reply->value("message", json::object());
  *block = Base64(stored, "hdrs");
  Message message;
  message.sequence = stored.value("seq", uint64_t{0});
  message.time_ns = ParseServerTimeNs(stored.value("time", std::string()));
  message.subject = stored.value("subject", std::string());
  message.payload = Base64(stored, "data");
  message.header = std::string(FindHeader(*block, kMessageHeaderName).value_or(""));
  message.tombstone = IsTombstone(FindHeader(*block, kKeyOperationHeader).value_or(""),
                                  FindHeader(*block, kMarkerReasonHeader).value_or(""));
  return message;
}

absl::StatusOr<Message> NatsControl::GetMessage(const std::string& stream, uint64_t sequence) {
  std::string block;
  return ReadMessage(stream, {{"seq", sequence}}, &block);
}

absl::StatusOr<Message> NatsControl::GetLastMessage(const std::string& stream, const std::string& subject) {
  std::string block;
  return ReadMessage(stream, {{"last_by_subj", subject}}, &block);
}

absl::StatusOr<uint64_t> NatsControl::SendAndWait(natsMsg* msg) {
  natsMsg* reply = nullptr;
  const natsStatus s =
      natsConnection_RequestMsg(&reply, connection_.get(), msg, absl::ToInt64Milliseconds(kControlDeadline));
  const NatsMsgPtr owned(reply);
  if (s != NATS_OK) {
    const std::string subject = natsMsg_GetSubject(msg);
    return connection_.RequestError(s, subject, StrCat("append to ", subject));
  }
  return ParseAppendAck(Payload(reply));
}

absl::StatusOr<uint64_t> NatsControl::AppendAndWait(const AppendRequest& request) {
  absl::StatusOr<NatsMsgPtr> msg = MakeAppend(request, "");
  if (!msg.ok()) return msg.status();
  return SendAndWait(msg->get());
}

}  // namespace millrace
