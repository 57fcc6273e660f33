// A planned move copies the state ahead: the partition's owner goes on while the worker that is to have it
// fetches the owner's checkpoints, and the partition changes hands when only a little log is left to replay.
//
// What is under way stands in the assignment in force (JobAssignment::next_owners), where a new leader finds
// it; only how long it has waited is counted anew.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/plan.h"

namespace millrace {

// A copy that is not there by then is not waited for: the new owner fetches what is missing when it begins. It
// lies well within a worker's time to drain, and within what an orchestrator gives a process to end.
inline constexpr absl::Duration kCopyAheadLimit = absl::Seconds(8);

struct MoveFacts {
  const PartitionReport* owner_says = nullptr;  // null: it does not live, or has let the partition go
  bool owner_stores = false;                    // has a checkpoint store, and so gives copies
  bool next_stores = false;                     // likewise, and so takes them
  std::optional<uint64_t> copied;               // the offset of the copy that the next owner says it has
  absl::Duration waited;                        // since the leader asked for the copy
};
// Whether the move is to wait for the copy. Only a partition that runs has anything to lose by not waiting.
bool WaitsForCopy(const MoveFacts& facts);

// `owners` as if every move under way in `in_force` were done whose next owner can still take it: a plan that
// begins with this keeps to what it ordered.
Owners AsIfMoved(Owners owners, const std::vector<JobAssignment>& in_force,
                 const std::vector<PlanWorker>& workers);

// How many moves wait for a copy.
size_t CountCopies(const std::vector<JobAssignment>& in_force);

// Since when each move has waited. Not thread-safe.
class CopyClock {
 public:
  // A move seen for the first time, or to another next owner than before, begins now.
  absl::Duration Waited(const std::string& uid, size_t partition, const std::string& next,
                        absl::Duration now);
  // Forgets all moves but those under way.
  void Keep(const std::vector<JobAssignment>& in_force);

 private:
  struct Wait {
    std::string next;
    absl::Duration since;
  };
  std::map<std::pair<std::string, size_t>, Wait> waits_;  // by uid and partition
};

}  // namespace millrace
