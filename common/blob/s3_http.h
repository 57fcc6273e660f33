// One HTTP request over libcurl, with the connections kept for the next. The only file pair that knows
// curl.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace millrace {

struct HttpRequestOut {
  std::string method;
  std::string url;
  std::map<std::string, std::string> headers;
  std::string_view body;
};

struct HttpAnswer {
  long code = 0;
  uint64_t content_length = 0;  // as the header says
  std::string body;             // of answers that were not handed to the sink; at most kMaxAnswerBytes
};

inline constexpr size_t kMaxAnswerBytes = 16 << 20;  // a page of a list has up to 1,000 names

// Thread-safe: each request has a connection of its own while it runs.
class HttpSender {
 public:
  HttpSender();
  ~HttpSender();
  HttpSender(const HttpSender&) = delete;
  HttpSender& operator=(const HttpSender&) = delete;

  // `sink`, where there is one, gets the body of a 2xx answer in pieces; its error ends the request and is
  // the answer. UNAVAILABLE when no answer came, or only a part of it.
  using Sink = std::function<absl::Status(std::string_view piece)>;
  absl::StatusOr<HttpAnswer> Send(const HttpRequestOut& request, const Sink& sink);

 private:
  void* Take();
  void GiveBack(void* handle);

  absl::Mutex mutex_;
  std::vector<void*> idle_ ABSL_GUARDED_BY(mutex_);  // CURL handles, each with its open connections
};

}  // namespace millrace
