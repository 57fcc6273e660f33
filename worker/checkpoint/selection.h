// What a partition begins with: the state on this disk, a checkpoint, or nothing but its log. Pure.
#pragma once

#include <optional>
#include <vector>

#include "common/checkpoint/layout.h"

namespace millrace {

// State on this disk that is behind a checkpoint by no more messages than this is used all the same: reading
// them takes less time than fetching the files.
inline constexpr uint64_t kReplayRatherThanRestore = 1'000;

struct StartFacts {
  std::optional<Offset> local;            // the commit on this disk; none: nothing usable is there
  std::vector<CheckpointId> checkpoints;  // in the store, in any order, good or not
  uint64_t log_begins_at = 1;             // the first message that the log still has, or will have
};

struct StartStep {
  enum class Kind { kLocal, kCheckpoint, kReplay };
  Kind kind = Kind::kReplay;
  CheckpointId checkpoint;  // kCheckpoint
  bool operator==(const StartStep&) const = default;
};

// What to try, in order; the first that works is it. From each of them the log leads on without a gap. Empty:
// nothing does, and the partition must not run.
std::vector<StartStep> PlanStart(const StartFacts& facts);

}  // namespace millrace
