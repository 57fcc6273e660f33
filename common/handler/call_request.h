// A stage's request to a service, and what it answered, as they cross between the Step and the process's pool. Both
// are bytes: a request is compared by them with the one whose answer was recorded.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/handler/handler_call.h"
#include "common/http/http_call.h"

namespace millrace {

// What is kept of an answer. It goes into one message of the verdict stream.
inline constexpr size_t kMaxCallAnswerBytes = 256 << 10;    // of its body
inline constexpr size_t kMaxCallHeaderBytes = 8 << 10;      // further headers are left out
inline constexpr size_t kMaxCallRecordedBytes = 700 << 10;  // packed

struct HttpCallRequest {
  std::string method;
  std::string url;  // whole
  std::string content_type;
  std::string body;
  std::string label;  // which call this is
};

std::string PackHttpRequest(const HttpCallRequest& request);
// INVALID_ARGUMENT: it is none.
absl::StatusOr<HttpCallRequest> UnpackHttpRequest(std::string_view packed);

// The body of an answer, packed: of one in JSON its value, of any other text or bytes. INVALID_ARGUMENT, one line: it
// says that it is JSON, and is none.
absl::StatusOr<std::string> PackHttpBody(const HttpAnswer& answer);
// `{status, body, headers}`, packed, with that body. INVALID_ARGUMENT, one line: it is too large.
absl::StatusOr<std::string> PackHttpAnswer(const HttpAnswer& answer, std::string_view packed_body);
// Both.
absl::StatusOr<std::string> PackHttpAnswer(const HttpAnswer& answer);

// Done, with those bytes as its one output.
CallOutcome OutcomeOfHttpAnswer(std::string packed);

// `path` behind the URL as one more segment, and the parameters, encoded (RFC 3986).
std::string PercentEncode(std::string_view text);

}  // namespace millrace
