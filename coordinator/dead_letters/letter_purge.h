// dead-letters purge: forgets a job's dead letters and gives their space back.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"

namespace millrace {

inline constexpr size_t kPurgedIdsAMark = 1000;

// Purges what the stream holds now, and answers how many letters were listed there. An owner that replays its
// log sends letters again, so their ids stay behind, as marks that are written before anything goes. May die
// anywhere and be run again. Uses the bus's Poll.
absl::StatusOr<uint64_t> PurgeDeadLetters(Bus& bus, Clock& clock, const JobRecord& job);

}  // namespace millrace
