#include "common/pipeline/token_bucket.h"

#include <algorithm>

namespace millrace {

// Within 64 bits: kMaxRate tokens are 3.6e15 units, and a second's rate gains 3.6e12 a millisecond at most.
TokenRule RuleOf(const RateLimitStage& limit, uint32_t partitions) {
  const int64_t sharers =
      limit.per == RateLimitStage::Per::kStage ? std::max<int64_t>(1, partitions) : int64_t{1};
  TokenRule rule;
  rule.gain_per_ms = limit.count * (kUnitsPerToken / absl::ToInt64Milliseconds(limit.period));
  rule.cost = kUnitsPerToken * sharers;
  rule.capacity = std::max(limit.burst * kUnitsPerToken, rule.cost);
  return rule;
}

int64_t UnitsAt(const TokenRule& rule, const TokenLevel& level, int64_t now_ms) {
  const int64_t units = std::min(level.units, rule.capacity);
  const int64_t passed_ms = std::max<int64_t>(0, now_ms - level.at_ms);
  if (passed_ms >= MsUntil(rule, units, rule.capacity)) return rule.capacity;
  return units + passed_ms * rule.gain_per_ms;
}

int64_t MsUntil(const TokenRule& rule, int64_t units, int64_t wanted) {
  if (units >= wanted) return 0;
  return (wanted - units + rule.gain_per_ms - 1) / rule.gain_per_ms;
}

}  // namespace millrace
