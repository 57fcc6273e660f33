#include "common/http/curl_transfer.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/strings.h"

namespace millrace {

void StartCurl() { [[maybe_unused]] static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT); }

CurlTransfer::CurlTransfer(void* handle, const HttpRequestOut& request, HttpSink sink)
    : handle_(handle), sink_(std::move(sink)), limits_(request.limits) {
  curl_slist* headers = nullptr;
  for (const auto& [name, value] : request.headers) {
    headers = curl_slist_append(headers, StrCat(name, ": ", value).c_str());
  }
  headers = curl_slist_append(headers, "Expect:");  // a round trip that nobody needs
  if (!request.headers.contains("Content-Type")) headers = curl_slist_append(headers, "Content-Type:");
  headers_ = headers;
  curl_easy_setopt(handle_, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle_, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);  // this is one thread of many
  curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS, absl::ToInt64Milliseconds(limits_.connect));
  curl_easy_setopt(handle_, CURLOPT_LOW_SPEED_LIMIT, limits_.slowest_bytes_a_second);
  curl_easy_setopt(handle_, CURLOPT_LOW_SPEED_TIME, absl::ToInt64Seconds(limits_.slow_for));
  if (limits_.whole != absl::InfiniteDuration()) {
    const int64_t whole_ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(limits_.whole));
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(whole_ms));
  }
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &CurlTransfer::OnBody);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, &CurlTransfer::OnHeader);
  curl_easy_setopt(handle_, CURLOPT_HEADERDATA, this);
  SetUpBody(request);
}

CurlTransfer::~CurlTransfer() { curl_slist_free_all(static_cast<curl_slist*>(headers_)); }

// From memory, so that curl can begin again on another connection when the server has just closed the one it kept.
void CurlTransfer::SetUpBody(const HttpRequestOut& request) {
  if (request.method == "HEAD") {
    curl_easy_setopt(handle_, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "PUT" || request.method == "POST") {
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

size_t CurlTransfer::OnBody(char* data, size_t size, size_t count, void* self) {
  CurlTransfer& transfer = *static_cast<CurlTransfer*>(self);
  const std::string_view piece(data, size * count);
  long code = 0;
  curl_easy_getinfo(transfer.handle_, CURLINFO_RESPONSE_CODE, &code);
  if (transfer.sink_ && code / 100 == 2) {
    transfer.sink_status_ = transfer.sink_(piece);
    return transfer.sink_status_.ok() ? piece.size() : 0;
  }
  transfer.too_long_ = transfer.answer_.body.size() + piece.size() > transfer.limits_.max_answer_bytes;
  if (transfer.too_long_) return 0;
  transfer.answer_.body.append(piece);
  return piece.size();
}

size_t CurlTransfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  CurlTransfer& transfer = *static_cast<CurlTransfer*>(self);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // of the answer behind a 100, say
    transfer.answer_.headers.clear();
    transfer.header_bytes_ = 0;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  transfer.header_bytes_ += line.size();
  if (transfer.header_bytes_ > kMaxAnswerHeaderBytes) return line.size();
  const absl::string_view value = absl::StripAsciiWhitespace(ToAbsl(line.substr(colon + 1)));
  transfer.answer_.headers.emplace_back(absl::AsciiStrToLower(ToAbsl(line.substr(0, colon))),
                                        std::string(value));
  return line.size();
}

absl::StatusOr<HttpAnswer> CurlTransfer::Finish(int code) {
  if (!sink_status_.ok()) return sink_status_;
  if (too_long_) {
    return absl::OutOfRangeError(
        StrCat("the answer has more than ", limits_.max_answer_bytes, " bytes, and was cut off"));
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return absl::DeadlineExceededError("no answer in time");
  if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(static_cast<CURLcode>(code)));
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &answer_.code);
  curl_off_t length = 0;
  curl_easy_getinfo(handle_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  answer_.content_length = static_cast<uint64_t>(std::max<curl_off_t>(length, 0));
  return std::move(answer_);
}

}  // namespace millrace
