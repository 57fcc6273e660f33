// The token buckets of `rate_limit` stages that make records wait, in memory and by the monotonic clock: a
// partition's new owner begins with full ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/clock.h"
#include "common/pipeline/rate_pacer.h"

namespace millrace {

// Buckets of one partition that are not full. Beyond these, those that are nearest to it are taken as full.
inline constexpr size_t kMaxPacedBuckets = 200'000;

// Not thread-safe: one for each partition.
class BucketPacer final : public RatePacer {
 public:
  explicit BucketPacer(Clock& clock, size_t max_buckets = kMaxPacedBuckets)
      : clock_(clock), max_buckets_(max_buckets) {}

  absl::Duration Take(const std::string& stage, std::string_view key, const TokenRule& rule) override;
  size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    TokenLevel level;
    int64_t full_at_ms = 0;
  };
  void ForgetFuller(int64_t now_ms);

  Clock& clock_;
  const size_t max_buckets_;
  absl::flat_hash_map<std::string, Bucket> buckets_;
  std::string name_;  // scratch
};

}  // namespace millrace
