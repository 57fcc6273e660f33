// What an HTTP answer means to whoever wants a request to be taken: it was, it is to be asked again, or it will never be.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/http/http_call.h"

namespace millrace {

enum class HttpVerdict {
  kTaken,    // 2xx
  kAgain,    // 408, 425, 429, 5xx but 501 and 505: the same request may be taken later
  kRefused,  // anything else
};

HttpVerdict JudgeHttpCode(long code);
// No answer came: kAgain where another try may bring one.
HttpVerdict JudgeHttpError(const absl::Status& error);

// A server can hold its client off for no longer.
inline constexpr absl::Duration kMaxRetryAfter = absl::Minutes(5);

// How long the server asks to wait (RFC 9110, 10.2.3: seconds, or a date), at most kMaxRetryAfter.
std::optional<absl::Duration> RetryAfter(const HttpAnswer& answer, absl::Time now);

// For people: "HTTP 503 Service is starting", with the beginning of a short body.
std::string HttpAnswerText(const HttpAnswer& answer);

}  // namespace millrace
