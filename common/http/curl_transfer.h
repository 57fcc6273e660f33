// One request on a handle of libcurl. It and who drives it (http_sender.cc, http_transfers.cc) are the only files that
// know curl.h.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/http/http_call.h"

namespace millrace {

// Before the first handle is made.
void StartCurl();

// Not thread-safe. Stays where it is.
class CurlTransfer {
 public:
  // Sets `handle` (a CURL) up; who made it performs it, and owns it.
  CurlTransfer(void* handle, const HttpRequestOut& request, HttpSink sink);
  ~CurlTransfer();
  CurlTransfer(const CurlTransfer&) = delete;
  CurlTransfer& operator=(const CurlTransfer&) = delete;

  // What came of it, by curl's code for it. UNAVAILABLE: no answer came, or only a part of it; OUT_OF_RANGE: a longer
  // one than the limit; DEADLINE_EXCEEDED: not within the limit.
  absl::StatusOr<HttpAnswer> Finish(int code);

 private:
  void SetUpBody(const HttpRequestOut& request);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);

  void* const handle_;
  void* headers_ = nullptr;  // a curl_slist
  const HttpSink sink_;
  const HttpLimits limits_;
  size_t header_bytes_ = 0;
  bool too_long_ = false;
  absl::Status sink_status_;
  HttpAnswer answer_;
};

}  // namespace millrace
