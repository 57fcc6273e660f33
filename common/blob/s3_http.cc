#include "common/blob/s3_http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/blob/s3_store.h"
#include "common/strings.h"

namespace millrace {
namespace {

// What curl's callbacks work on.
struct Transfer {
  CURL* handle = nullptr;
  const HttpSender::Sink* sink = nullptr;
  std::string_view unsent;
  HttpAnswer answer;
  absl::Status sink_status;
};

size_t OnBody(char* data, size_t size, size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  const std::string_view piece(data, size * count);
  long code = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &code);
  if (*transfer.sink && code / 100 == 2) {
    transfer.sink_status = (*transfer.sink)(piece);
    return transfer.sink_status.ok() ? piece.size() : 0;
  }
  if (transfer.answer.body.size() + piece.size() > kMaxAnswerBytes) return 0;
  transfer.answer.body.append(piece);
  return piece.size();
}

size_t OnUpload(char* buffer, size_t size, size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  const size_t bytes = std::min(size * count, transfer.unsent.size());
  std::memcpy(buffer, transfer.unsent.data(), bytes);
  transfer.unsent.remove_prefix(bytes);
  return bytes;
}

void SetUp(const HttpRequestOut& request, Transfer* transfer, curl_slist* headers) {
  CURL* const handle = transfer->handle;
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // this is one thread of many
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, absl::ToInt64Milliseconds(kS3ConnectTimeout));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kS3SlowestBytesASecond);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, absl::ToInt64Seconds(kS3SlowFor));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
  if (request.method == "PUT") {
    transfer->unsent = request.body;
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, &OnUpload);
    curl_easy_setopt(handle, CURLOPT_READDATA, transfer);
  } else if (request.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET") {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

}  // namespace

HttpSender::HttpSender() {
  [[maybe_unused]] static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
}

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

absl::StatusOr<HttpAnswer> HttpSender::Send(const HttpRequestOut& request, const Sink& sink) {
  Transfer transfer;
  transfer.handle = Take();
  if (transfer.handle == nullptr) return absl::ResourceExhaustedError("curl has no memory");
  transfer.sink = &sink;
  curl_slist* headers = nullptr;
  const absl::Cleanup clean_up = [&] {
    curl_slist_free_all(headers);
    GiveBack(transfer.handle);
  };
  for (const auto& [name, value] : request.headers) {
    headers = curl_slist_append(headers, StrCat(name, ": ", value).c_str());
  }
  headers = curl_slist_append(headers, "Expect:");  // a round trip that nobody needs
  SetUp(request, &transfer, headers);

  const CURLcode code = curl_easy_perform(transfer.handle);
  if (!transfer.sink_status.ok()) return transfer.sink_status;
  if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(code));
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &transfer.answer.code);
  curl_off_t length = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  transfer.answer.content_length = static_cast<uint64_t>(std::max<curl_off_t>(length, 0));
  return std::move(transfer.answer);
}

}  // namespace millrace
