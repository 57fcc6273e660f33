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
  int count = 0;
  std::string stage;  // where the last one overran; empty when its verdict does not say
};

// By (offset, the record's position in the frame).
using VerdictAttempts = absl::flat_hash_map<std::pair<uint64_t, uint32_t>, SpentAttempts>;

inline void CountVerdict(const Verdict& verdict, VerdictAttempts* attempts) {
  SpentAttempts& spent = (*attempts)[{verdict.offset.value(), verdict.record}];
  ++spent.count;
  spent.stage = verdict.stage;
}

}  // namespace millrace
