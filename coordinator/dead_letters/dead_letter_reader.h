// A job's dead letters as their stream holds them, each once, and what became of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "coordinator/dead_letters/letter_marks.h"

namespace millrace {

// Tells letters of this job from others and first copies from later ones: an owner sends a letter again until
// it knows that it is stored, and an earlier job of the name may have left some. Not thread-safe.
class DeadLetterFilter {
 public:
  explicit DeadLetterFilter(std::string uid) : uid_(std::move(uid)) {}
  // Null when the message is no letter that counts.
  LetterJson Take(const Message& message);
  // What the messages so far say became of letters.
  const LetterMarks& marks() const { return marks_; }

 private:
  const std::string uid_;
  LetterMarks marks_;
  absl::flat_hash_set<std::string> seen_;  // ids; bounded by the stream
};

// The sequence of the job's last dead letter that is there; 0: there is none.
absl::StatusOr<uint64_t> LastLetter(Bus& bus, const std::string& job);

// Calls `visit` for every letter, in the stream's order, also for those that were purged and sent again. An
// error of `visit` ends it. Answers what became of them. Uses the bus's Poll.
absl::StatusOr<LetterMarks> ReadDeadLetters(Bus& bus, Clock& clock, const JobRecord& job,
                                            const std::function<absl::Status(const LetterJson&)>& visit);

// The letters to list, in memory: without those that were purged, and each with a member `retried_offset`:
// where its record came back to its partition's log, or null.
absl::StatusOr<std::vector<LetterJson>> ListDeadLetters(Bus& bus, Clock& clock, const JobRecord& job);

// NOT_FOUND, with where the ids are.
absl::Status NoSuchLetter(const JobRecord& job, const std::string& id);

}  // namespace millrace
