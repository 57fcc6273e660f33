// How results are cut into requests: a pure function of the results, so that who sends them again cuts them alike.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/ids.h"
#include "common/job/job_spec.h"

namespace millrace {

// Of a request's body; a single result may be larger.
inline constexpr size_t kMaxSinkBatchBytes = 1 << 20;

struct HttpBatchLine {
  PartitionId partition;
  Mark label;
  std::string json;  // one object, without a newline
};

struct HttpBatch {
  std::string first, last;  // labels: "partition.offset.index"
  size_t records = 0;
  std::string body;
};

std::string_view ContentTypeOf(HttpSinkSpec::Format format);

// Cuts what is added into batches. Not thread-safe.
class HttpBatcher {
 public:
  using Send = std::function<absl::Status(const HttpBatch& batch)>;
  // `sink` outlives it.
  HttpBatcher(const HttpSinkSpec& sink, Send send) : sink_(sink), send_(std::move(send)) {}

  // Errors are those of `send`; nothing more is to be added then.
  absl::Status Add(const HttpBatchLine& line);
  // Last: sends what is left.
  absl::Status Finish();

 private:
  const HttpSinkSpec& sink_;
  const Send send_;
  HttpBatch batch_;
};

}  // namespace millrace
