// The client's messages, made from what we append and read into what we hand out.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/bus/nats_connection.h"
#include "common/bus/nats_reader.h"

namespace millrace {

inline constexpr char kKeyOperationHeader[] = "KV-Operation";
inline constexpr char kMarkerReasonHeader[] = "Nats-Marker-Reason";  // 2.11: the server deleted the key

absl::StatusOr<NatsMsgPtr> MakeMessage(const std::string& subject, const std::string& reply_to,
                                       std::string_view payload);
absl::Status SetHeader(natsMsg* msg, const char* name, const std::string& value);
// With the headers that the request asks for; `reply_to` may be empty.
absl::StatusOr<NatsMsgPtr> MakeAppend(const AppendRequest& request, const std::string& reply_to);

// The views live as long as `msg`.
std::string_view Payload(const natsMsg* msg);
std::string_view Header(natsMsg* msg, const char* name);  // empty when it is not there
bool IsTombstone(std::string_view operation, std::string_view marker_reason);

// Those of its publisher, by name. Several values of one name are one, with commas (RFC 9110, 5.2).
UserHeaders ReadUserHeaders(natsMsg* msg);

// Subject, header, payload; where it stands in its stream is for the caller to add.
Message ToMessage(natsMsg* msg);

// The status that `msg` carries about a pull request; `code` is its status header's.
PullStatus ToPullStatus(natsMsg* msg, std::string_view code);

}  // namespace millrace
