#include "coordinator/leader/plan.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "coordinator/leader/plan_weights.h"

namespace millrace {
namespace {

constexpr size_t kNobody = static_cast<size_t>(-1);

struct PartitionAt {
  size_t job, partition;
};

// One planning, in indices: owner_[job][partition] is a worker.
class Planning {
 public:
  Planning(const std::vector<PlanWorker>& workers, const std::vector<PlanJob>& jobs, const Owners& previous,
           size_t max_moves)
      : workers_(workers), jobs_(jobs), weights_(WeighPartitions(jobs)), moves_left_(max_moves) {
    NumberZones();
    held_.assign(workers.size(), {});
    weight_.assign(workers.size(), 0);
    held_of_job_.assign(workers.size(), std::vector<uint32_t>(jobs.size(), 0));
    for (size_t j = 0; j < jobs.size(); ++j) {
      owner_.emplace_back(jobs[j].partitions, kNobody);
      moved_.emplace_back(jobs[j].partitions, false);
      KeepPrevious(j, previous);
    }
  }

  Owners Run() {
    PlaceAll(WithoutOwner());
    PlaceAll(Draining());
    while (moves_left_ > 0 && MoveOne()) {
    }
    return Answer();
  }

 private:
  void NumberZones() {
    for (size_t w = 0; w < workers_.size(); ++w) {
      const auto [known, is_new] = zone_numbers_.try_emplace(workers_[w].zone, zone_numbers_.size());
      zone_.push_back(known->second);
      if (is_new) zone_workers_.push_back(0);
      if (!workers_[w].drains) ++zone_workers_[known->second], targets_.push_back(w);
    }
    zone_of_job_.assign(zone_numbers_.size(), std::vector<uint32_t>(jobs_.size(), 0));
  }

  void KeepPrevious(size_t j, const Owners& previous) {
    const auto found = previous.find(jobs_[j].uid);
    if (found == previous.end()) return;
    const size_t known = std::min(found->second.size(), owner_[j].size());
    for (size_t p = 0; p < known; ++p) {
      const auto at = std::lower_bound(
          workers_.begin(), workers_.end(), found->second[p],
          [](const PlanWorker& worker, const std::string& name) { return worker.name < name; });
      if (at != workers_.end() && at->name == found->second[p]) {
        Give({j, p}, static_cast<size_t>(at - workers_.begin()));
      }
    }
  }

  int64_t WeightOf(const PartitionAt& place) const { return weights_.of[place.job][place.partition]; }

  void Give(const PartitionAt& place, size_t w) {
    owner_[place.job][place.partition] = w;
    held_[w].push_back(place);
    weight_[w] += WeightOf(place);
    ++held_of_job_[w][place.job];
    ++zone_of_job_[zone_[w]][place.job];
  }

  void Take(const PartitionAt& place) {
    const size_t w = owner_[place.job][place.partition];
    std::erase_if(held_[w], [&](const PartitionAt& held) {
      return held.job == place.job && held.partition == place.partition;
    });
    weight_[w] -= WeightOf(place);
    --held_of_job_[w][place.job];
    --zone_of_job_[zone_[w]][place.job];
  }

  // The heaviest first: the light ones then level what is left uneven.
  void HeaviestFirst(std::vector<PartitionAt>* places) const {
    std::stable_sort(places->begin(), places->end(),
                     [&](const PartitionAt& a, const PartitionAt& b) { return WeightOf(a) > WeightOf(b); });
  }

  std::vector<PartitionAt> WithoutOwner() const {
    std::vector<PartitionAt> places;
    for (size_t j = 0; j < jobs_.size(); ++j) {
      for (size_t p = 0; p < owner_[j].size(); ++p) {
        if (owner_[j][p] == kNobody) places.push_back({j, p});
      }
    }
    HeaviestFirst(&places);
    return places;
  }

  // As many as may move.
  std::vector<PartitionAt> Draining() {
    std::vector<PartitionAt> places;
    for (size_t w = 0; w < workers_.size(); ++w) {
      if (workers_[w].drains) places.insert(places.end(), held_[w].begin(), held_[w].end());
    }
    HeaviestFirst(&places);
    places.resize(std::min(places.size(), moves_left_));
    moves_left_ -= places.size();
    for (const PartitionAt& place : places) {
      Take(place);
      moved_[place.job][place.partition] = true;
    }
    return places;
  }

  void PlaceAll(const std::vector<PartitionAt>& places) {
    for (const PartitionAt& place : places) Give(place, Neediest(place.job));
  }

  // The lightest; of several the one in whose zone, then on which, there is least of the job.
  size_t Neediest(size_t j) const {
    size_t best = targets_.front();
    for (const size_t w : targets_) {
      // Partitions a worker of the zone, without dividing.
      const uint64_t here = uint64_t{zone_of_job_[zone_[w]][j]} * zone_workers_[zone_[best]];
      const uint64_t there = uint64_t{zone_of_job_[zone_[best]][j]} * zone_workers_[zone_[w]];
      if (std::make_tuple(weight_[w], here, held_of_job_[w][j]) <
          std::make_tuple(weight_[best], there, held_of_job_[best][j])) {
        best = w;
      }
    }
    return best;
  }

  // Moves what levels the heaviest and the lightest best. False when nothing does.
  bool MoveOne() {
    std::vector<size_t> by_weight = targets_;
    std::stable_sort(by_weight.begin(), by_weight.end(),
                     [&](size_t a, size_t b) { return weight_[a] > weight_[b]; });
    const size_t to = *std::min_element(targets_.begin(), targets_.end(),
                                        [&](size_t a, size_t b) { return weight_[a] < weight_[b]; });
    for (const size_t from : by_weight) {
      const int64_t difference = weight_[from] - weight_[to];
      if (difference <= Slack()) return false;
      // What one worker holds may be too heavy to help; then another's may do.
      const auto place = BestToMove(from, to, difference);
      if (!place) continue;
      Take(*place);
      Give(*place, to);
      moved_[place->job][place->partition] = true;
      --moves_left_;
      return true;
    }
    return false;
  }

  int64_t Slack() const {
    if (weights_.uniform) return 0;
    int64_t sum = 0;
    for (const size_t w : targets_) sum += weight_[w];
    return static_cast<int64_t>(kLoadSlack * static_cast<double>(sum) / static_cast<double>(targets_.size()));
  }

  // Nearest to half the difference; of several the last of the job of which `from` has most beyond `to`.
  std::optional<PartitionAt> BestToMove(size_t from, size_t to, int64_t difference) const {
    std::optional<PartitionAt> best;
    const auto rank = [&](const PartitionAt& place) {
      const int64_t beyond = int64_t{held_of_job_[from][place.job]} - int64_t{held_of_job_[to][place.job]};
      return std::make_tuple(std::abs(difference - 2 * WeightOf(place)), -beyond, place.job,
                             -static_cast<int64_t>(place.partition));
    };
    for (const PartitionAt& place : held_[from]) {
      if (WeightOf(place) >= difference || moved_[place.job][place.partition]) continue;
      if (!best || rank(place) < rank(*best)) best = place;
    }
    return best;
  }

  Owners Answer() const {
    Owners owners;
    for (size_t j = 0; j < jobs_.size(); ++j) {
      std::vector<std::string>& names = owners[jobs_[j].uid];
      for (const size_t w : owner_[j]) names.push_back(workers_[w].name);
    }
    return owners;
  }

  const std::vector<PlanWorker>& workers_;  // in order of name
  const std::vector<PlanJob>& jobs_;
  const PlanWeights weights_;
  size_t moves_left_;
  std::map<std::string, size_t> zone_numbers_;
  std::vector<size_t> zone_;            // by worker
  std::vector<uint32_t> zone_workers_;  // by zone: those that do not drain
  std::vector<size_t> targets_;         // workers that do not drain
  std::vector<std::vector<size_t>> owner_;
  std::vector<std::vector<bool>> moved_;            // in this planning, by job and partition
  std::vector<std::vector<PartitionAt>> held_;      // by worker
  std::vector<int64_t> weight_;                     // by worker
  std::vector<std::vector<uint32_t>> held_of_job_;  // by worker and job
  std::vector<std::vector<uint32_t>> zone_of_job_;  // by zone and job
};

// Jobs cut into their segments, each of which is planned as a job of its own.
struct Split {
  Split(const std::vector<PlanJob>& jobs, const Owners& before) {
    for (const PlanJob& job : jobs) {
      std::vector<uint32_t> segments = {job.partitions};
      segments.insert(segments.end(), job.later_partitions.begin(), job.later_partitions.end());
      size_t first = 0;
      for (const uint32_t partitions : segments) {
        PlanJob& part = parts.emplace_back();
        part.uid = absl::StrCat(job.uid, ".", job_of.size());
        part.partitions = partitions;
        part.loads = SliceOf(job.loads, first, partitions);
        if (const auto known = before.find(job.uid); known != before.end()) {
          previous[part.uid] = SliceOf(known->second, first, partitions);
        }
        job_of.push_back(job.uid);
        first += partitions;
      }
    }
  }

  Owners Join(const Owners& owners) const {
    Owners joined;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::vector<std::string>& names = owners.at(parts[i].uid);
      std::vector<std::string>& of_job = joined[job_of[i]];
      of_job.insert(of_job.end(), names.begin(), names.end());
    }
    return joined;
  }

  template <typename T>
  static std::vector<T> SliceOf(const std::vector<T>& all, size_t first, size_t count) {
    const size_t begin = std::min(first, all.size());
    const size_t end = std::min(first + count, all.size());
    return {all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end)};
  }

  std::vector<PlanJob> parts;
  std::vector<std::string> job_of;  // by part: the job's uid
  Owners previous;
};

}  // namespace

Owners Plan(std::vector<PlanWorker> workers, std::vector<PlanJob> jobs, const Owners& previous,
            size_t max_moves) {
  std::sort(workers.begin(), workers.end(),
            [](const PlanWorker& a, const PlanWorker& b) { return a.name < b.name; });
  std::sort(jobs.begin(), jobs.end(), [](const PlanJob& a, const PlanJob& b) { return a.uid < b.uid; });
  const bool any = std::any_of(workers.begin(), workers.end(), [](const PlanWorker& w) { return !w.drains; });
  Split split(jobs, previous);
  if (any) return split.Join(Planning(workers, split.parts, split.previous, max_moves).Run());
  Owners nobody;
  for (const PlanJob& part : split.parts) nobody[part.uid].assign(part.partitions, "");
  return split.Join(nobody);
}

size_t CountMoves(const Owners& from, const Owners& to) {
  size_t moves = 0;
  for (const auto& [uid, before] : from) {
    const auto after = to.find(uid);
    if (after == to.end()) continue;
    for (size_t p = 0; p < std::min(before.size(), after->second.size()); ++p) {
      if (!before[p].empty() && !after->second[p].empty() && before[p] != after->second[p]) ++moves;
    }
  }
  return moves;
}

}  // namespace millrace
