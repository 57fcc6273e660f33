// A BlobStore in a bucket of S3, or of what speaks its protocol: one request an object, signed here, sent by
// libcurl.
//
// S3 promises what BlobStore does: a PUT is whole or nothing, and reads and lists that begin afterwards see
// it ("Amazon S3 data consistency model"). Parts of uploads that were cut off are never seen.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/blob/s3_signature.h"
#include "common/clock.h"

namespace millrace {

// A request is tried so often where asking again can help; between two tries lies a random part of the pause.
inline constexpr int kS3Tries = 5;
inline constexpr absl::Duration kS3FirstPause = absl::Milliseconds(100);
inline constexpr absl::Duration kS3LongestPause = absl::Seconds(5);
inline constexpr absl::Duration kS3ConnectTimeout = absl::Seconds(5);
// A transfer slower than this for so long is given up. There is no limit to the whole: an object may be
// large.
inline constexpr long kS3SlowestBytesASecond = 1024;
inline constexpr absl::Duration kS3SlowFor = absl::Seconds(20);

struct S3Options {
  std::string bucket;
  std::string prefix;    // in front of every name; empty, or ends with '/'
  std::string endpoint;  // "http://127.0.0.1:9000": the bucket goes into the path; empty: Amazon's, and the
                         // bucket goes into the host's name
  std::string region = "us-east-1";
  S3Credentials credentials;
  uint64_t seed = 0;  // for the pauses
};

// Does not connect yet. INVALID_ARGUMENT when the endpoint is no URL.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenS3Store(const S3Options& options, Clock& clock);

}  // namespace millrace
