// A token bucket in whole numbers, so that the same log gives the same levels everywhere. It fills with time up
// to its capacity; a record takes the cost of one token out of it.
#pragma once

#include <cstdint>

#include "common/job/job_spec.h"

namespace millrace {

// A token has as many units as an hour has milliseconds: a rate of one an hour gains one unit a millisecond, and
// those of minutes and seconds gain whole ones too. Levels mean the same under every rate.
inline constexpr int64_t kUnitsPerToken = 3'600'000;

struct TokenRule {
  int64_t gain_per_ms = 1;
  int64_t cost = kUnitsPerToken;      // of a record
  int64_t capacity = kUnitsPerToken;  // at least the cost

  bool operator==(const TokenRule&) const = default;
};

// `partitions`: how many share a limit of the whole stage evenly. Each of them has room for one record at least.
TokenRule RuleOf(const RateLimitStage& limit, uint32_t partitions);

struct TokenLevel {
  int64_t units = 0;
  int64_t at_ms = 0;  // when it was that
};

// REQUIRES: now_ms does not go back. A level above the capacity is one of an earlier rule: it is cut down.
int64_t UnitsAt(const TokenRule& rule, const TokenLevel& level, int64_t now_ms);
// How long until there are so many units; 0 when there are. REQUIRES: wanted is at most the capacity.
int64_t MsUntil(const TokenRule& rule, int64_t units, int64_t wanted);

}  // namespace millrace
