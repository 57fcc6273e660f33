#include "common/http/http_transfers.h"

#include <curl/curl.h>

#include <utility>

#include "common/check.h"
#include "common/http/curl_transfer.h"

namespace millrace {
namespace {

void* MakeMulti() {
  StartCurl();
  CURLM* const multi = curl_multi_init();
  MILLRACE_CHECK(multi != nullptr);
  return multi;
}

}  // namespace

HttpTransfers::HttpTransfers() : multi_(MakeMulti()) {}

HttpTransfers::~HttpTransfers() {
  while (!running_.empty()) Cancel(running_.begin()->first);
  for (void* const handle : idle_) curl_easy_cleanup(handle);
  curl_multi_cleanup(multi_);
}

absl::Status HttpTransfers::Start(Id id, const HttpRequestOut& request) {
  MILLRACE_CHECK(!running_.contains(id));
  void* handle = nullptr;
  if (idle_.empty()) {
    handle = curl_easy_init();
  } else {
    handle = idle_.back();
    idle_.pop_back();
  }
  if (handle == nullptr) return absl::ResourceExhaustedError("curl has no memory");
  auto running = std::make_unique<Running>();
  running->id = id;
  running->handle = handle;
  running->transfer = std::make_unique<CurlTransfer>(handle, request, HttpSink());
  curl_easy_setopt(handle, CURLOPT_PRIVATE, running.get());
  const CURLMcode added = curl_multi_add_handle(multi_, handle);
  if (added != CURLM_OK) {
    GiveBack(handle);
    return absl::ResourceExhaustedError(curl_multi_strerror(added));
  }
  running_[id] = std::move(running);
  return absl::OkStatus();
}

// The multi handle keeps the connections.
void HttpTransfers::GiveBack(void* handle) {
  curl_easy_reset(handle);
  idle_.push_back(handle);
}

void HttpTransfers::Cancel(Id id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  curl_multi_remove_handle(multi_, found->second->handle);
  GiveBack(found->second->handle);
  running_.erase(found);
}

std::vector<HttpTransfers::Finished> HttpTransfers::Poll(absl::Duration wait) {
  std::vector<Finished> finished;
  int still_running = 0;
  curl_multi_perform(multi_, &still_running);
  // Without one that has finished already.
  if (static_cast<size_t>(still_running) == running_.size()) {
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(wait)), nullptr);
    curl_multi_perform(multi_, &still_running);
  }
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Running* running = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &running);
    finished.push_back({running->id, running->transfer->Finish(code)});
  }
  for (const Finished& done : finished) Cancel(done.id);
  return finished;
}

void HttpTransfers::Wake() { curl_multi_wakeup(multi_); }

}  // namespace millrace
