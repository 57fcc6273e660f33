#include "common/http/http_sender.h"

#include <curl/curl.h>

#include "absl/cleanup/cleanup.h"
#include "common/http/curl_transfer.h"

namespace millrace {

HttpSender::HttpSender() { StartCurl(); }

HttpSender::~HttpSender() {
  absl::MutexLock lock(&mutex_);
  for (void* handle : idle_) curl_easy_cleanup(handle);
}

void* HttpSender::Take() {
  absl::MutexLock lock(&mutex_);
  if (idle_.empty()) return curl_easy_init();
  void* const handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void HttpSender::GiveBack(void* handle) {
  curl_easy_reset(handle);  // keeps the connections
  absl::MutexLock lock(&mutex_);
  idle_.push_back(handle);
}

absl::StatusOr<HttpAnswer> HttpSender::Send(const HttpRequestOut& request, const HttpSink& sink) {
  void* const handle = Take();
  if (handle == nullptr) return absl::ResourceExhaustedError("curl has no memory");
  const absl::Cleanup give_back = [&] { GiveBack(handle); };
  CurlTransfer transfer(handle, request, sink);
  return transfer.Finish(curl_easy_perform(handle));
}

}  // namespace millrace
