// Rule 9 while it runs: after each fault, when is what had been fed by its end all out?
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace millrace::chaos {

// Records by partition (of all jobs together, in any fixed order).
using RecordCounts = std::vector<uint64_t>;

// Pure: told the time and the counts. Time in which another fault is under way does not count.
class Recoveries {
 public:
  explicit Recoveries(absl::Duration bound) : bound_(bound) {}

  // The fault of that number is over; `fed` must come out.
  void Begin(int number, RecordCounts fed, absl::Duration now);
  struct Recovered {
    int number = 0;
    absl::Duration took;
  };
  // `disturbed`: a fault is under way. Returns those whose records are all out.
  std::vector<Recovered> Look(const RecordCounts& out, bool disturbed, absl::Duration now);
  bool waiting() const { return !pending_.empty(); }
  // One has waited for longer than the bound.
  bool overdue() const;

 private:
  struct Pending {
    int number = 0;
    RecordCounts fed;
    absl::Duration waited;
  };
  const absl::Duration bound_;
  std::vector<Pending> pending_;
  absl::Duration last_look_;
};

}  // namespace millrace::chaos
