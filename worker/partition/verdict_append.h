// Verdicts on their way into the partition's verdict stream: one message at a time, with the expected sequence, before
// anything that follows from them leaves.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/verdict.h"
#include "common/ids.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/partition_id.h"

namespace millrace {

inline constexpr size_t kMaxAnswersMessageBytes = 256 << 10;  // one answer may be larger
inline constexpr int kMaxVerdictTries = 5;                    // of one verdict in one call

// Appends the verdicts one after the other, answers of services together, and answers the stream's tail behind them. An outcome that is not known
// is read back: a failure stands there once; answers may stand there again, which tells nobody anything new. Blocks; uses the bus's Poll. Errors: FAILED_PRECONDITION, a
// later owner is there; others: the broker's, and some of them may be in the stream: `tail` and `written` then
// tell.
absl::Status AppendVerdicts(Bus& bus, Clock& clock, const PartitionKey& partition, Epoch epoch,
                            const std::vector<Verdict>& verdicts, LogTail* tail, size_t* written);

}  // namespace millrace
