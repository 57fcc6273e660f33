#include "worker/partition/bucket_pacer.h"

#include <algorithm>
#include <vector>

namespace millrace {

absl::Duration BucketPacer::Take(const std::string& stage, std::string_view key, const TokenRule& rule) {
  const int64_t now_ms = absl::ToInt64Milliseconds(clock_.Monotonic());
  name_.assign(stage);
  name_.push_back('\n');  // no name of a stage holds it
  name_.append(key);
  const auto found = buckets_.find(name_);
  const int64_t units = found == buckets_.end() ? rule.capacity : UnitsAt(rule, found->second.level, now_ms);
  if (units < rule.cost) return absl::Milliseconds(MsUntil(rule, units, rule.cost));
  if (found == buckets_.end() && buckets_.size() >= max_buckets_) ForgetFuller(now_ms);
  const int64_t left = units - rule.cost;
  buckets_[name_] = {{left, now_ms}, now_ms + MsUntil(rule, left, rule.capacity)};
  return absl::ZeroDuration();
}

// A full bucket needs no entry. Half of them go at once, so that a bucket's share of the work stays small.
void BucketPacer::ForgetFuller(int64_t now_ms) {
  std::vector<int64_t> times;
  times.reserve(buckets_.size());
  for (const auto& [name, bucket] : buckets_) times.push_back(bucket.full_at_ms);
  const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  const int64_t limit_ms = std::max(now_ms, *middle);
  absl::erase_if(buckets_, [&](const auto& entry) { return entry.second.full_at_ms <= limit_ms; });
}

}  // namespace millrace
