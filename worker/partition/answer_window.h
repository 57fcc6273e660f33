// The answers of services that earlier owners wrote down, beside the log that is run again: a part of the verdict
// stream is in memory, and it is read on as the log is applied, so that a long log takes no more memory than a short
// one.
//
// Answers stand nearly in the order of the log, for they were asked for in it. One that stands behind a window that is
// full is searched for when its message is at the front: everything to the end is read then, and of it only that
// message's answers are kept. So a service is asked only what surely nobody has answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/verdict.h"
#include "common/handler/recorded_answers.h"
#include "common/ids.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/partition_id.h"

namespace millrace {

// A window's worth is read in parts of so much, by the bytes of messages, of which the last may be larger.
uint64_t AnswerPartBytes(uint64_t window_bytes);

struct AnswerReading {
  LogTail from;                         // of the verdict stream, behind it
  Offset done;                          // answers to messages up to here are not wanted
  std::optional<Offset> only;           // to the end, and this message's alone
  uint64_t payload_bytes = UINT64_MAX;  // or until so many were read
};
struct AnswersRead {
  LogTail tail;  // behind what was read
  std::vector<Verdict> answers;
};
// Blocks; uses the bus's Poll. Errors: as ReadLogTail.
absl::StatusOr<AnswersRead> ReadAnswers(Bus& bus, Clock& clock, const PartitionKey& partition,
                                        const AnswerReading& reading);

// Of what is read of a verdict stream when a partition is opened.
struct AnswersKept {
  LogTail tail;  // up to here they are kept; what stands behind it is read later
  size_t max_bytes = kMaxRecordedAnswerBytes;
};

// Not thread-safe. One reading at a time is under way.
class AnswerWindow {
 public:
  // `answers`: of the part that is read; outlives it. `end`: the last message that earlier owners can have written.
  AnswerWindow(RecordedAnswers* answers, AnswersKept kept, uint64_t end);

  // Whether the answer to a call of this message may stand in what was not read: it is not to be asked yet.
  bool MayHave(Offset offset) const { return !at_end() && offset > searched_; }
  // What is to be read now, if anything. `missed`: the message at the front, where it waits for answers that are not in
  // the window.
  std::optional<AnswerReading> Next(Offset done, std::optional<Offset> missed, absl::Duration now);
  // What came of it. Errors: DATA_LOSS, for good; of all others, it is read again.
  absl::Status Take(absl::StatusOr<AnswersRead> read, absl::Duration now);

 private:
  bool at_end() const { return tail_.last_sequence >= end_; }

  RecordedAnswers* const answers_;
  const size_t max_bytes_;
  const uint64_t end_;
  LogTail tail_;     // read up to here
  Offset searched_;  // all answers to messages up to this one were read
  std::optional<AnswerReading> under_way_;
  absl::Duration read_at_;  // not before
};

}  // namespace millrace
