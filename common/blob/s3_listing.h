// What S3 answers in XML, read as far as we need it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"

namespace millrace {

struct S3Page {
  std::vector<BlobInfo> objects;   // names as the keys are, whatever the prefix
  std::string continuation_token;  // empty: the last page
};
// A page of ListObjectsV2. UNAVAILABLE when it is not one.
absl::StatusOr<S3Page> ParseS3Page(std::string_view xml);

// The code and the message of an error document, "NoSuchKey: The specified key does not exist."; empty when
// it is none.
std::string S3ErrorText(std::string_view xml);

}  // namespace millrace
