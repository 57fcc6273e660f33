// How the owner of a partition in front of another segment begins towards that segment (rule R4).
#pragma once

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/log_begin.h"
#include "common/ids.h"
#include "worker/partition/downstream_mark.h"
#include "worker/partition/partition_id.h"

namespace millrace {

inline constexpr absl::Duration kEpochMarkPatience = absl::Seconds(10);  // without any answer: give up

struct DownstreamOwner {
  PartitionKey partition;
  Epoch epoch;  // claimed
  // The last epoch whose marks the commit holds; 0: there is no commit.
  Epoch known_epoch;
};

// Appends the owner's epoch mark to every partition of the next segment. In `marks`, as the commit has them,
// `since` and `confirmed` move there. DATA_LOSS: a stream is shorter than the commit says.
absl::Status MarkDownstreams(Bus& bus, Clock& clock, const DownstreamOwner& owner, DownstreamMarks* marks);

// What readers have taken of this writer, by the streams themselves: from `begin` (marks as the commit has
// them) up to their present ends, which lie behind this owner's epoch mark. Never more than was taken.
//
// When nobody owned the partition between the commit's owner and this one, all that the commit stands on was
// in the streams before this owner's mark, and the reading goes on from the last message confirmed. Otherwise
// that last message may have come behind a mark that made it count for nothing, and is judged again from the
// commit's owner's own mark on.
//
// `logs`: where the logs of the next segment begin, by partition; a stream that begins behind what the commit
// knows of it is judged from there on.
absl::StatusOr<DownstreamMarks> ScanDownstreams(Bus& bus, Clock& clock, const DownstreamOwner& owner,
                                                const DownstreamMarks& begin, const LogBegins& logs);

}  // namespace millrace
