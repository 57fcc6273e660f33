// The record of a dead letter, as it stands in its partition's log.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/job/segments.h"
#include "coordinator/dead_letters/letter_marks.h"

namespace millrace {

// A frame with that record alone: its key, value and headers as they were, and the time it was handled with.
// `segment` is the letter's. INVALID_ARGUMENT: what failed there was no record (a timer, a message that does
// not decode); NOT_FOUND: the log has it no more; DATA_LOSS: a later version wrote it.
absl::StatusOr<std::string> FrameOfLetter(Bus& bus, const JobRecord& job, const SegmentSpec& segment,
                                          const LetterPlace& place);

}  // namespace millrace
