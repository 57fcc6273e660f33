#include "common/bus/nats_message.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <utility>

#include "common/frame/message_header.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kMessageIdHeader[] = "Nats-Msg-Id";
constexpr char kRollupHeader[] = "Nats-Rollup";

struct FreeList {
  void operator()(const char** list) const { std::free(list); }  // NOLINT: the client makes it by malloc
};
using TextList = std::unique_ptr<const char*, FreeList>;  // of texts that the message owns

std::string ValuesOf(natsMsg* msg, const char* name) {
  const char** found = nullptr;
  int count = 0;
  if (natsMsgHeader_Values(msg, name, &found, &count) != NATS_OK) return {};
  const TextList values(found);
  std::string joined;
  for (int i = 0; i < count; ++i) {
    if (i > 0) joined.append(", ");
    joined.append(found[i]);
  }
  return joined;
}

}  // namespace

absl::StatusOr<NatsMsgPtr> MakeMessage(const std::string& subject, const std::string& reply_to,
                                       std::string_view payload) {
  natsMsg* msg = nullptr;
  const natsStatus s = natsMsg_Create(&msg, subject.c_str(), reply_to.empty() ? nullptr : reply_to.c_str(),
                                      payload.data(), static_cast<int>(payload.size()));
  if (s != NATS_OK) return NatsError(s, StrCat("message to ", subject));
  return NatsMsgPtr(msg);
}

absl::Status SetHeader(natsMsg* msg, const char* name, const std::string& value) {
  const natsStatus s = natsMsgHeader_Set(msg, name, value.c_str());
  return s == NATS_OK ? absl::OkStatus() : NatsError(s, StrCat("header ", name));
}

absl::StatusOr<NatsMsgPtr> MakeAppend(const AppendRequest& request, const std::string& reply_to) {
  absl::StatusOr<NatsMsgPtr> msg = MakeMessage(std::string(request.subject), reply_to, request.payload);
  if (!msg.ok()) return msg;
  absl::Status status;
  if (!request.header.empty()) {
    status.Update(SetHeader(msg->get(), kMessageHeaderName, std::string(request.header)));
  }
  if (request.expected_last_sequence.has_value()) {
    status.Update(SetHeader(msg->get(), kExpectedSequenceHeader, StrCat(*request.expected_last_sequence)));
  }
  if (!request.message_id.empty()) {
    status.Update(SetHeader(msg->get(), kMessageIdHeader, std::string(request.message_id)));
  }
  if (request.user_headers != nullptr) {
    for (const auto& [name, value] : *request.user_headers)
      status.Update(SetHeader(msg->get(), name.c_str(), value));
  }
  if (request.replaces_subject) status.Update(SetHeader(msg->get(), kRollupHeader, "sub"));
  if (!status.ok()) return status;
  return msg;
}

std::string_view Payload(const natsMsg* msg) {
  const int bytes = natsMsg_GetDataLength(msg);
  return bytes > 0 ? std::string_view(natsMsg_GetData(msg), static_cast<size_t>(bytes)) : std::string_view();
}

std::string_view Header(natsMsg* msg, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(msg, name, &value) == NATS_OK && value != nullptr ? std::string_view(value)
                                                                             : std::string_view();
}

bool IsTombstone(std::string_view operation, std::string_view marker_reason) {
  return operation == "DEL" || operation == "PURGE" || !marker_reason.empty();
}

UserHeaders ReadUserHeaders(natsMsg* msg) {
  UserHeaders headers;
  const char** found = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(msg, &found, &count) != NATS_OK) return headers;  // it has none
  const TextList names(found);
  for (int i = 0; i < count; ++i) {
    if (IsUserHeader(found[i])) headers.emplace_back(found[i], ValuesOf(msg, found[i]));
  }
  std::sort(headers.begin(), headers.end());  // the client keeps them in a hash table
  return headers;
}

Message ToMessage(natsMsg* msg) {
  Message message;
  message.subject = natsMsg_GetSubject(msg);
  message.header = Header(msg, kMessageHeaderName);
  message.payload = Payload(msg);
  if (message.payload.empty()) {
    message.tombstone = IsTombstone(Header(msg, kKeyOperationHeader), Header(msg, kMarkerReasonHeader));
  }
  return message;
}

PullStatus ToPullStatus(natsMsg* msg, std::string_view code) {
  PullStatus status;
  std::from_chars(code.data(), code.data() + code.size(), status.code);
  status.description = Header(msg, "Description");
  const std::string_view pending = Header(msg, "Nats-Pending-Messages");
  std::from_chars(pending.data(), pending.data() + pending.size(), status.pending_messages);
  return status;
}

}  // namespace millrace
