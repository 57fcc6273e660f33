// `state get` and `state scan`, as an owner answers them: JSON in, JSON out.
//
//   {"verb":"get","job":…,"uid":…,"segment":0,"partition":3,"key":…}
//       -> {"ok":true,"offset":17,"value":{…}}
//   {"verb":"scan",…,"prefix":"A","limit":100,"cursor":…}
//       -> {"ok":true,"offset":17,"rows":[{"key":…,"value":…}],"next":…}
//   {"verb":"digest",…}
//       -> {"ok":true,"offset":17,"keys":2,"digest":"9c31…"}
//   anything that fails
//       -> {"ok":false,"code":"not_found","error":…}
//
// Keys and prefixes that are no UTF-8 are `key_base64` and `prefix_base64`. A scan goes on where the answer's
// `next` is handed in as `cursor`, which means nothing to anybody else; an answer without it was the last.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/partition/partition.h"

namespace millrace {

inline constexpr size_t kMaxScanRows = 10'000;        // in one answer
inline constexpr size_t kMaxAnswerBytes = 512 << 10;  // likewise; below the broker's message limit

// Whom a query is for.
struct StateQueryTarget {
  std::string uid;
  SegmentId segment;
  PartitionId partition;
};
absl::StatusOr<StateQueryTarget> ParseStateQueryTarget(std::string_view request);

std::string AnswerStateQuery(Partition& partition, std::string_view request);
std::string RefuseStateQuery(const absl::Status& status);

}  // namespace millrace
