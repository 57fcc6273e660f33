// Moves that a leader has ordered and whose new owner has not said that it runs: what bounds how many more it
// may order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/plan.h"

namespace millrace {

// A new owner that has not come so far (it restores much, or nobody feeds it a report) holds up no other
// move.
inline constexpr absl::Duration kMoveGivenUpAfter = absl::Seconds(60);

// Not thread-safe. A new leader begins with none: it can at most double the bound for a while.
class MovesUnderWay {
 public:
  void Order(const Owners& from, const Owners& to, absl::Duration now);
  // What a partition's owner in force, alive, says of it.
  void Observe(const std::string& uid, size_t partition, const PartitionReport& report);
  void GiveUpOld(absl::Duration now);

  size_t count() const { return since_.size(); }
  size_t room() const { return count() < kMaxMovesAtOnce ? kMaxMovesAtOnce - count() : 0; }

 private:
  std::map<std::pair<std::string, size_t>, absl::Duration> since_;  // by uid and partition
};

}  // namespace millrace
