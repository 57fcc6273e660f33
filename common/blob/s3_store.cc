#include "common/blob/s3_store.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/blob/s3_listing.h"
#include "common/http/http_sender.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kListPageNames[] = "1000";

bool MayPass(long code) { return code >= 500 || code == 429 || code == 408; }

absl::Status StatusOf(const HttpAnswer& answer, const std::string& what) {
  if (answer.code / 100 == 2) return absl::OkStatus();
  const std::string error = S3ErrorText(answer.body);
  const std::string text = StrCat(what, ": HTTP ", answer.code, error.empty() ? "" : " ", error);
  if (error.starts_with("NoSuchBucket")) {
    return absl::FailedPreconditionError(StrCat(text, " — make the bucket first"));
  }
  switch (answer.code) {
    case 404:
      return absl::NotFoundError(text);
    case 401:
    case 403:
      return absl::PermissionDeniedError(
          StrCat(text, " — look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the region"));
    case 507:
      return absl::ResourceExhaustedError(text);
    default:
      break;
  }
  if (MayPass(answer.code)) return absl::UnavailableError(text);
  return absl::FailedPreconditionError(text);
}

class S3Store final : public BlobStore {
 public:
  S3Store(S3Options options, std::string base_url, std::string host, std::string base_path, Clock& clock)
      : options_(std::move(options)),
        base_url_(std::move(base_url)),
        host_(std::move(host)),
        base_path_(std::move(base_path)),
        clock_(clock),
        random_(options_.seed) {}

  absl::Status Put(const std::string& name, std::string_view bytes) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    if (bytes.size() > kMaxBlobBytes) {
      return absl::InvalidArgumentError(
          StrCat(name, " has ", bytes.size(), " bytes; an object has at most ", kMaxBlobBytes));
    }
    S3Request request = RequestFor("PUT", name);
    request.payload = Sha256Of(bytes);
    return Send(request, bytes, "put " + name).status();
  }

  absl::Status Get(const std::string& name, const Sink& sink) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    return Send(RequestFor("GET", name), {}, "get " + name, sink).status();
  }

  absl::StatusOr<BlobInfo> Head(const std::string& name) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    const auto answer = Send(RequestFor("HEAD", name), {}, "head " + name);
    if (!answer.ok()) return answer.status();
    return BlobInfo{name, answer->content_length};
  }

  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) override {
    std::vector<BlobInfo> found;
    S3Request request = RequestFor("GET", "");
    request.query = {{"list-type", "2"}, {"max-keys", kListPageNames}, {"prefix", options_.prefix + prefix}};
    while (true) {
      const auto answer = Send(request, {}, "list " + prefix);
      if (!answer.ok()) return answer.status();
      absl::StatusOr<S3Page> page = ParseS3Page(answer->body);
      if (!page.ok()) return page.status();
      for (BlobInfo& object : page->objects) {
        if (!object.name.starts_with(options_.prefix)) continue;
        object.name.erase(0, options_.prefix.size());
        if (CheckBlobName(object.name).ok()) found.push_back(std::move(object));  // others are not ours
      }
      if (page->continuation_token.empty()) break;
      request.query["continuation-token"] = page->continuation_token;
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return found;
  }

  absl::Status Delete(const std::string& name) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    const absl::Status status = Send(RequestFor("DELETE", name), {}, "delete " + name).status();
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }

  absl::Status Tidy(absl::Duration) override { return absl::OkStatus(); }

  std::string ToString() const override { return StrCat("s3://", options_.bucket, "/", options_.prefix); }

 private:
  // "" is the bucket itself.
  S3Request RequestFor(const std::string& method, const std::string& name) const {
    S3Request request;
    request.method = method;
    request.host = host_;
    request.path = name.empty() ? base_path_ : StrCat(base_path_, options_.prefix, name);
    return request;
  }

  absl::StatusOr<HttpAnswer> SendOnce(const S3Request& request, std::string_view body, const HttpSink& sink) {
    HttpRequestOut out;
    out.method = request.method;
    out.url = StrCat(base_url_, S3EncodePath(request.path));
    if (!request.query.empty()) StrAppend(&out.url, "?", S3EncodeQuery(request.query));
    out.headers = SignS3Request(request, options_.credentials, options_.region, clock_.Now());
    out.body = body;
    out.limits = {.connect = kS3ConnectTimeout,
                  .slowest_bytes_a_second = kS3SlowestBytesASecond,
                  .slow_for = kS3SlowFor};
    return sender_.Send(out, sink);
  }

  // Asks again while that can help, and as long as nothing was handed to the sink.
  absl::StatusOr<HttpAnswer> Send(const S3Request& request, std::string_view body, const std::string& what,
                                  const Sink& sink = {}) {
    bool handed_over = false;
    absl::Status sink_status;
    HttpSink watched;
    if (sink) {
      watched = [&](std::string_view piece) {
        handed_over = true;
        return sink_status = sink(piece);
      };
    }
    for (int tries = 1;; ++tries) {
      absl::StatusOr<HttpAnswer> answer = SendOnce(request, body, watched);
      if (!sink_status.ok()) return sink_status;
      const absl::Status status =
          answer.ok() ? StatusOf(*answer, what)
                      : absl::UnavailableError(StrCat(what, ": ", ToStd(answer.status().message())));
      if (status.ok()) return answer;
      if (!absl::IsUnavailable(status) || tries == kS3Tries || handed_over) return status;
      Pause(tries);
    }
  }

  // Half of the pause for certain, the other half at random: workers that lost the place together do not come
  // back together.
  void Pause(int tries) {
    const absl::Duration pause = std::min(kS3LongestPause, kS3FirstPause * (int64_t{1} << (tries - 1)));
    double part = 0;
    {
      absl::MutexLock lock(&mutex_);
      part = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
    }
    clock_.Sleep(pause * part);
  }

  const S3Options options_;
  const std::string base_url_;   // "https://host"
  const std::string host_;       // as the header says it
  const std::string base_path_;  // "/" or "/bucket/"
  Clock& clock_;
  HttpSender sender_;
  absl::Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenS3Store(const S3Options& options, Clock& clock) {
  if (options.endpoint.empty()) {
    const std::string host = StrCat(options.bucket, ".s3.", options.region, ".amazonaws.com");
    return std::make_unique<S3Store>(options, "https://" + host, host, "/", clock);
  }
  std::string endpoint = options.endpoint;
  if (endpoint.ends_with('/')) endpoint.pop_back();
  const size_t scheme = endpoint.find("://");
  const std::string_view kind = std::string_view(endpoint).substr(0, scheme);
  const std::string host = scheme == std::string::npos ? "" : endpoint.substr(scheme + 3);
  if ((kind != "http" && kind != "https") || host.empty() || host.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        StrCat("the endpoint \"", options.endpoint,
               "\" cannot be used — it is http:// or https://, a host and a port"
               " — try endpoint=http://127.0.0.1:9000"));
  }
  return std::make_unique<S3Store>(options, endpoint, host, StrCat("/", options.bucket, "/"), clock);
}

}  // namespace millrace
