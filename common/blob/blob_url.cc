#include "common/blob/blob_url.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "common/blob/directory_store.h"
#include "common/blob/object_info.h"
#include "common/blob/object_store.h"
#include "common/blob/s3_store.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr std::string_view kFileScheme = "file://", kS3Scheme = "s3://", kNatsScheme = "nats://",
                           kObjectsScheme = "objects:";

absl::Status BadUrl(std::string_view text, std::string_view why, std::string_view instead) {
  return absl::InvalidArgumentError(
      StrCat("\"", text, "\" is no place for checkpoints — ", why, " — try ", instead));
}

int UrlHexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// %3A and its like, as a shell's careful user writes an endpoint.
std::string PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool encoded = text[i] == '%' && i + 2 < text.size() && UrlHexDigit(text[i + 1]) >= 0 &&
                         UrlHexDigit(text[i + 2]) >= 0;
    decoded.push_back(encoded ? static_cast<char>(UrlHexDigit(text[i + 1]) * 16 + UrlHexDigit(text[i + 2]))
                              : text[i]);
    if (encoded) i += 2;
  }
  return decoded;
}

absl::Status ParseS3Query(std::string_view text, std::string_view query, BlobUrl* url) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? "" : query.substr(end + 1);
    const size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string value = equals == std::string_view::npos ? "" : PercentDecode(pair.substr(equals + 1));
    if (name == "endpoint" && !value.empty()) {
      url->endpoint = value;
    } else if (name == "region" && !value.empty()) {
      url->region = value;
    } else {
      return BadUrl(text, StrCat("`", pair, "` is not known or empty"), "endpoint=URL and region=NAME");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BlobUrl> ParseS3(std::string_view text) {
  BlobUrl url;
  url.kind = BlobUrl::Kind::kS3;
  std::string_view rest = text.substr(kS3Scheme.size());
  const size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    if (absl::Status status = ParseS3Query(text, rest.substr(question + 1), &url); !status.ok())
      return status;
    rest = rest.substr(0, question);
  }
  const size_t slash = rest.find('/');
  url.bucket = rest.substr(0, slash);
  url.prefix = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  const bool good = CheckBlobName(url.bucket).ok() && (url.prefix.empty() || CheckBlobName(url.prefix).ok());
  if (!good)
    return BadUrl(text, "an S3 place has a bucket and may have a prefix",
                  "s3://bucket/prefix?region=eu-west-1");
  if (!url.prefix.empty()) url.prefix += '/';
  return url;
}

absl::Status NotThere(std::string_view what) {
  return absl::NotFoundError(StrCat(what,
                                    " is not there — no checkpoint was ever stored under this name — give "
                                    "--checkpoints as the workers have it"));
}

absl::StatusOr<BlobUrl> ParseObjects(std::string_view text, std::string_view bucket) {
  if (!IsObjectBucket(bucket)) {
    return BadUrl(
        text,
        "a bucket of a JetStream object store has letters, digits, _ and -; the server is that of --nats",
        "objects:checkpoints");
  }
  BlobUrl url;
  url.kind = BlobUrl::Kind::kObjects;
  url.bucket = bucket;
  return url;
}

}  // namespace

absl::StatusOr<BlobUrl> ParseBlobUrl(std::string_view text) {
  if (text.starts_with(kS3Scheme)) return ParseS3(text);
  if (text.starts_with(kObjectsScheme)) return ParseObjects(text, text.substr(kObjectsScheme.size()));
  if (text.starts_with(kNatsScheme)) return ParseObjects(text, text.substr(kNatsScheme.size()));
  BlobUrl url;
  url.path = text.starts_with(kFileScheme) ? text.substr(kFileScheme.size()) : text;
  if (text.starts_with(kFileScheme) && !url.path.starts_with('/')) {
    return BadUrl(text, "file:// is followed by an absolute path", "file:///var/lib/millrace/checkpoints");
  }
  const size_t scheme = url.path.find("://");
  if (url.path.empty() || scheme != std::string::npos) {
    const std::string near = NearMiss(url.path.substr(0, scheme), {"s3", "file", "objects", "nats"});
    return BadUrl(text, "it is a directory, s3://… or objects:BUCKET",
                  near.empty() ? "file:///path" : near + "…");
  }
  return url;
}

std::string EnvironmentVariable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(const BlobUrl& url,
                                                         const BlobEnvironment& environment, Clock& clock) {
  if (url.kind == BlobUrl::Kind::kDirectory) {
    std::error_code error;
    if (environment.must_be_there && !std::filesystem::is_directory(url.path, error))
      return NotThere(url.path);
    return OpenDirectoryStore(url.path, clock);
  }
  if (url.kind == BlobUrl::Kind::kObjects) {
    absl::StatusOr<std::unique_ptr<Bus>> bus = environment.connect();
    if (!bus.ok()) return bus.status();
    if (environment.must_be_there && absl::IsNotFound((*bus)->GetStream(ObjectStream(url.bucket)).status())) {
      return NotThere(StrCat(kObjectsScheme, url.bucket));
    }
    return OpenObjectStore({url.bucket, environment.replicas, environment.seed}, *std::move(bus), clock);
  }
  const auto first_of = [&](std::string given, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (given.empty()) given = environment.variable(name);
    }
    return given;
  };
  S3Options options;
  options.bucket = url.bucket;
  options.prefix = url.prefix;
  options.endpoint = first_of(url.endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  options.region = first_of(url.region, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (options.region.empty()) options.region = "us-east-1";
  options.credentials = {environment.variable("AWS_ACCESS_KEY_ID"),
                         environment.variable("AWS_SECRET_ACCESS_KEY"),
                         environment.variable("AWS_SESSION_TOKEN")};
  if (options.credentials.access_key.empty() || options.credentials.secret_key.empty()) {
    return absl::FailedPreconditionError(
        StrCat("s3://", url.bucket,
               " cannot be used — AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set"
               " — set both in the environment"));
  }
  options.seed = environment.seed;
  return OpenS3Store(options, clock);
}

}  // namespace millrace
