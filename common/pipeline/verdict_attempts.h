// How often the records of a partition failed by verdicts: what its verdict stream says, gathered for the
// Step.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/frame/verdict.h"

namespace millrace {

struct SpentAttempts {
  int overruns = 0;        // of code in the worker's process
  int failures = 0;        // of a handler, which said so
  int losses = 0;          // of handlers that had the record's call alone
  std::string stage = {};  // of the last one; empty when its verdict does not say
  std::string why = {};    // of the last failure or loss

  int all() const { return overruns + failures + losses; }
};

// A handler process may end for reasons of its own, so that not even a call that was alone with it is to blame
// at once.
inline constexpr int kLeastHandlerLosses = 3;

// By (offset, the record's position in the frame).
using VerdictAttempts = absl::flat_hash_map<std::pair<uint64_t, uint32_t>, SpentAttempts>;

inline void CountVerdict(const Verdict& verdict, VerdictAttempts* attempts) {
  if (verdict.outcome == Verdict::Outcome::kAnswered) return;
  SpentAttempts& spent = (*attempts)[{verdict.offset.value(), verdict.record}];
  switch (verdict.outcome) {
    case Verdict::Outcome::kOverran:
      ++spent.overruns;
      break;
    case Verdict::Outcome::kFailed:
      ++spent.failures;
      spent.why = verdict.reason;
      break;
    case Verdict::Outcome::kLost:
      ++spent.losses;
      spent.why = verdict.reason;
      break;
    case Verdict::Outcome::kAnswered:
      return;
  }
  spent.stage = verdict.stage;
}

}  // namespace millrace
