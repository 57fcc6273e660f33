// A request to an HTTP server of somebody else's, and what it answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace millrace {

struct HttpLimits {
  absl::Duration connect = absl::Seconds(5);
  absl::Duration whole = absl::InfiniteDuration();  // of all of the request and its answer
  // A transfer slower than this for so long is given up.
  long slowest_bytes_a_second = 1024;
  absl::Duration slow_for = absl::Seconds(20);
  size_t max_answer_bytes = 16 << 20;  // a longer body is cut off, and no answer
};

// Redirects are not followed. Servers' certificates are checked.
struct HttpRequestOut {
  std::string method;
  std::string url;
  std::map<std::string, std::string> headers;
  std::string_view body;  // outlives the request
  HttpLimits limits = {};
};

inline constexpr size_t kMaxAnswerHeaderBytes = 32 << 10;  // further headers are not kept

struct HttpAnswer {
  long code = 0;
  uint64_t content_length = 0;                                    // as the header says
  std::string body = {};                                          // of answers that were not handed to a sink
  std::vector<std::pair<std::string, std::string>> headers = {};  // names in lower case, as they came
};

// Gets the body of a 2xx answer in pieces; its error ends the request and is the answer.
using HttpSink = std::function<absl::Status(std::string_view piece)>;

}  // namespace millrace
