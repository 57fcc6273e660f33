// Asking a partition's owner about its state, over core NATS.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "coordinator/views/cluster.h"
#include "nlohmann/json.hpp"

namespace millrace {

inline constexpr absl::Duration kOwnerAnswerDeadline = absl::Seconds(5);
inline constexpr size_t kScanPageRows = 1000;  // asked of an owner at a time
inline constexpr int kMaxOwnerTries = 10;      // while a partition moves from one owner to another
inline constexpr absl::Duration kOwnerRetryInterval = absl::Milliseconds(300);

// The incarnation of the worker that says it owns the partition; empty: nobody alive does.
std::string OwnerOf(const Cluster& cluster, const JobRecord& job, SegmentId segment, PartitionId partition);

// Asks `incarnation` once. `question` carries the verb and its arguments; job, uid, segment and partition are
// added.
// The answer is its JSON, {"ok":true,…}. NOT_FOUND: no such key; UNAVAILABLE: not the owner (any more), or no
// answer.
absl::StatusOr<nlohmann::ordered_json> AskOnce(Bus& bus, const std::string& incarnation, const JobRecord& job,
                                               SegmentId segment, PartitionId partition,
                                               nlohmann::ordered_json question);

// Finds the owner and asks it, again while the partition moves. DEADLINE_EXCEEDED when nobody owns it.
absl::StatusOr<nlohmann::ordered_json> AskOwner(Bus& bus, Clock& clock, const JobRecord& job,
                                                SegmentId segment, PartitionId partition,
                                                const nlohmann::ordered_json& question);

// A key's state, as of the owner's `offset`.
struct OwnerRow {
  std::string key;
  nlohmann::ordered_json value;
  uint64_t offset = 0;
};

// As AskOwner. NOT_FOUND: no such key.
absl::StatusOr<OwnerRow> GetFromOwner(Bus& bus, Clock& clock, const JobRecord& job, SegmentId segment,
                                      PartitionId partition, const std::string& key);
// As AskOwner: the first `limit` keys that start with `prefix`, in byte order, asked for page by page.
absl::StatusOr<std::vector<OwnerRow>> ScanOwner(Bus& bus, Clock& clock, const JobRecord& job,
                                                SegmentId segment, PartitionId partition,
                                                const std::string& prefix, size_t limit);

}  // namespace millrace
