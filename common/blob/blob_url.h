// Where objects are kept, as an operator writes it:
//
//     /var/lib/ckpt, file:///var/lib/ckpt          a directory
//     s3://bucket/prefix?endpoint=URL&region=NAME  S3; credentials from AWS_ACCESS_KEY_ID,
//                                                  AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
//     objects:BUCKET, nats://BUCKET                a JetStream object store on the NATS that is connected to
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

struct BlobUrl {
  enum class Kind { kDirectory, kS3, kObjects };
  Kind kind = Kind::kDirectory;
  std::string path;      // kDirectory
  std::string bucket;    // the others
  std::string prefix;    // kS3; empty, or ends with '/'
  std::string endpoint;  // kS3; empty: AWS_ENDPOINT_URL, else Amazon's
  std::string region;    // kS3; empty: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1
  bool operator==(const BlobUrl&) const = default;
};

// Pure. INVALID_ARGUMENT, one line, says what is wrong and what to try.
absl::StatusOr<BlobUrl> ParseBlobUrl(std::string_view text);

// What a store may need beyond its URL.
struct BlobEnvironment {
  std::function<absl::StatusOr<std::unique_ptr<Bus>>()> connect;  // for objects:BUCKET
  std::function<std::string(const char* name)> variable;          // of the environment; "" when not set
  int replicas = 1;                                               // of an object store that is made
  bool must_be_there = false;  // who only reads makes nothing: a name that was mistyped is told
  uint64_t seed = 0;
};
// The process's own environment.
std::string EnvironmentVariable(const char* name);

// FAILED_PRECONDITION when the credentials are missing; NOT_FOUND when it must be there, and no such directory or
// object store is. Whether there is a bucket of S3 is seen when it is read.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(const BlobUrl& url,
                                                         const BlobEnvironment& environment, Clock& clock);

}  // namespace millrace
