#include "coordinator/leader/moves_under_way.h"

#include <algorithm>

namespace millrace {

void MovesUnderWay::Order(const Owners& from, const Owners& to, absl::Duration now) {
  std::erase_if(since_, [&](const auto& move) { return !to.contains(move.first.first); });
  for (const auto& [uid, after] : to) {
    const auto before = from.find(uid);
    if (before == from.end()) continue;
    for (size_t p = 0; p < std::min(before->second.size(), after.size()); ++p) {
      if (before->second[p].empty() || after[p].empty() || before->second[p] == after[p]) continue;
      since_[{uid, p}] = now;
    }
  }
}

void MovesUnderWay::Observe(const std::string& uid, size_t partition, const PartitionReport& report) {
  if (report.state != "restoring") since_.erase({uid, partition});
}

void MovesUnderWay::GiveUpOld(absl::Duration now) {
  std::erase_if(since_, [&](const auto& move) { return now - move.second >= kMoveGivenUpAfter; });
}

}  // namespace millrace
