#include "coordinator/leader/plan_segments.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

template <typename T>
std::vector<T> SliceOf(const std::vector<T>& all, size_t first, size_t count) {
  const size_t begin = std::min(first, all.size());
  const size_t end = std::min(first + count, all.size());
  return {all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end)};
}

}  // namespace

PlanSegments::PlanSegments(const std::vector<PlanJob>& jobs) {
  for (const PlanJob& job : jobs) {
    std::vector<uint32_t> segments = {job.partitions};
    segments.insert(segments.end(), job.later_partitions.begin(), job.later_partitions.end());
    size_t first = 0;
    for (const uint32_t partitions : segments) {
      PlanJob& part = parts_.emplace_back();
      part.uid = absl::StrCat(job.uid, ".", origins_.size());
      part.partitions = partitions;
      part.loads = SliceOf(job.loads, first, partitions);
      origins_.push_back({job.uid, first});
      first += partitions;
    }
  }
}

Owners PlanSegments::Cut(const Owners& by_job) const {
  Owners by_part;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const auto known = by_job.find(origins_[i].uid);
    if (known == by_job.end()) continue;
    by_part[parts_[i].uid] = SliceOf(known->second, origins_[i].first, parts_[i].partitions);
  }
  return by_part;
}

Owners PlanSegments::Join(const Owners& by_part) const {
  Owners by_job;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const std::vector<std::string>& names = by_part.at(parts_[i].uid);
    std::vector<std::string>& of_job = by_job[origins_[i].uid];
    of_job.insert(of_job.end(), names.begin(), names.end());
  }
  return by_job;
}

}  // namespace millrace
