// How busy each partition is: records a second, from what owners report, over intervals so long that a plan
// does not follow every gust.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

inline constexpr absl::Duration kLoadInterval = absl::Seconds(30);

// Not thread-safe. By this process's own monotonic clock.
class LoadTable {
 public:
  // What a partition's owner, alive, says of it now.
  void Observe(const std::string& uid, size_t partition, uint64_t records_in, absl::Duration now);
  // By partition, as of the last whole interval: half the newest and half what was before. -1: not known yet.
  std::vector<double> Of(const std::string& uid, size_t partitions) const;
  // Forgets jobs that are not among these.
  void Keep(const std::vector<std::string>& uids);

 private:
  struct Row {
    uint64_t records_in = 0;
    absl::Duration since;
    double load = -1;
  };
  std::map<std::string, std::map<size_t, Row>> rows_;
};

}  // namespace millrace
