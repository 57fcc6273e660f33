// A job's dead letters as their stream holds them, each once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "nlohmann/json.hpp"

namespace millrace {

using LetterJson = nlohmann::ordered_json;

// Tells letters of this job from others and first copies from later ones: an owner sends a letter again until
// it knows that it is stored, and an earlier job of the name may have left some. Not thread-safe.
class DeadLetterFilter {
 public:
  explicit DeadLetterFilter(std::string uid) : uid_(std::move(uid)) {}
  // Null when the message is no letter that counts.
  LetterJson Take(const Message& message);

 private:
  const std::string uid_;
  absl::flat_hash_set<std::string> seen_;  // ids; bounded by the stream
};

// The sequence of the job's last dead letter that is there; 0: there is none.
absl::StatusOr<uint64_t> LastLetter(Bus& bus, const std::string& job);

// Calls `visit` for every letter, in the stream's order. An error of `visit` ends it. Uses the bus's Poll.
absl::Status ReadDeadLetters(Bus& bus, Clock& clock, const JobRecord& job,
                             const std::function<absl::Status(const LetterJson&)>& visit);

}  // namespace millrace
