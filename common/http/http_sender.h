// HTTP requests that wait for their answers, with the connections kept for the next.
#pragma once

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_call.h"

namespace millrace {

// Thread-safe: each request has a connection of its own while it runs.
class HttpSender {
 public:
  HttpSender();
  ~HttpSender();
  HttpSender(const HttpSender&) = delete;
  HttpSender& operator=(const HttpSender&) = delete;

  // Errors: the sink's, and those of CurlTransfer::Finish.
  absl::StatusOr<HttpAnswer> Send(const HttpRequestOut& request, const HttpSink& sink);

 private:
  void* Take();
  void GiveBack(void* handle);

  absl::Mutex mutex_;
  std::vector<void*> idle_ ABSL_GUARDED_BY(mutex_);  // CURL handles, each with its open connections
};

}  // namespace millrace
