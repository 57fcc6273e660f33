#include "worker/checkpoint/collection.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace millrace {

ManifestsToKeep PlanManifests(std::vector<CheckpointId> there, Epoch epoch, size_t keep) {
  ManifestsToKeep plan;
  std::sort(there.begin(), there.end(), std::greater<>());
  if (!there.empty() && there.front().epoch > epoch) {
    plan.fenced = true;
    return plan;
  }
  const auto kept_end = there.begin() + static_cast<ptrdiff_t>(std::min(keep, there.size()));
  plan.keep.assign(there.begin(), kept_end);
  plan.drop.assign(kept_end, there.end());
  return plan;
}

std::vector<std::string> PlanFiles(const CheckpointLayout& layout, const std::vector<std::string>& there,
                                   const std::set<std::string>& named, Epoch epoch, absl::Duration now,
                                   absl::Duration grace, UnnamedFiles* unnamed) {
  std::vector<std::string> gone;
  UnnamedFiles still;
  for (const std::string& name : there) {
    const std::optional<Epoch> owner = layout.EpochOfFile(name);
    if (!owner.has_value() || *owner > epoch || named.contains(name)) continue;
    const auto noted = unnamed->find(name);
    const absl::Duration since = noted == unnamed->end() ? now : noted->second;
    if (noted != unnamed->end() && now - since >= grace) {
      gone.push_back(name);
    } else {
      still.emplace(name, since);
    }
  }
  *unnamed = std::move(still);
  return gone;
}

}  // namespace millrace
