#include "coordinator/views/rates.h"

namespace millrace {

void Rates::Note(absl::Duration now, const std::string& name, uint64_t count) {
  std::deque<Look>& looks = looks_[name];
  if (!looks.empty() && count < looks.back().count) looks.clear();  // another life of the counter
  looks.push_back({now, count});
  while (looks.size() > kMaxRateLooks || (looks.size() > 2 && looks[1].at + kRateWindow <= now)) {
    looks.pop_front();
  }
}

std::optional<double> Rates::PerSecond(std::string_view name) const {
  const auto found = looks_.find(name);
  if (found == looks_.end() || found->second.size() < 2) return std::nullopt;
  const Look& first = found->second.front();
  const Look& last = found->second.back();
  if (last.at <= first.at) return std::nullopt;
  return static_cast<double>(last.count - first.count) / absl::ToDoubleSeconds(last.at - first.at);
}

}  // namespace millrace
