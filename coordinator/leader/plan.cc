#include "coordinator/leader/plan.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <tuple>

#include "coordinator/leader/plan_segments.h"
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
           const Owners& before, const Owners& standbys, size_t max_moves)
      : workers_(workers), jobs_(jobs), weights_(WeighPartitions(jobs)), moves_left_(max_moves) {
    NumberZones();
    held_.assign(workers.size(), {});
    weight_.assign(workers.size(), 0);
    held_of_job_.assign(workers.size(), std::vector<uint32_t>(jobs.size(), 0));
    for (size_t j = 0; j < jobs.size(); ++j) {
      owner_.emplace_back(jobs[j].partitions, kNobody);
      moved_.emplace_back(jobs[j].partitions, false);
      before_.push_back(NumbersOf(j, before));
      standby_.push_back(NumbersOf(j, standbys));
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

  // Of the job's partitions: the number of the worker that is named there; kNobody where none is that lives.
  std::vector<size_t> NumbersOf(size_t j, const Owners& owners) const {
    std::vector<size_t> numbers(jobs_[j].partitions, kNobody);
    const auto found = owners.find(jobs_[j].uid);
    if (found == owners.end()) return numbers;
    for (size_t p = 0; p < std::min(found->second.size(), numbers.size()); ++p) {
      const auto at = std::lower_bound(
          workers_.begin(), workers_.end(), found->second[p],
          [](const PlanWorker& worker, const std::string& name) { return worker.name < name; });
      if (at != workers_.end() && at->name == found->second[p]) {
        numbers[p] = static_cast<size_t>(at - workers_.begin());
      }
    }
    return numbers;
  }

  void KeepPrevious(size_t j, const Owners& previous) {
    const std::vector<size_t> numbers = NumbersOf(j, previous);
    for (size_t p = 0; p < numbers.size(); ++p) {
      if (numbers[p] != kNobody) Give({j, p}, numbers[p]);
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

  // Those that have a standby first: the others level what that leaves uneven.
  void PlaceAll(const std::vector<PartitionAt>& places) {
    std::vector<PartitionAt> others;
    for (const PartitionAt& place : places) {
      const size_t standby = standby_[place.job][place.partition];
      if (standby == kNobody || workers_[standby].drains) {
        others.push_back(place);
        continue;
      }
      Give(place, standby);
      moved_[place.job][place.partition] = true;  // not on from there at once
    }
    for (const PartitionAt& place : others) Give(place, Neediest(place.job));
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
    const int64_t slack = Slack();
    for (const size_t from : by_weight) {
      const int64_t difference = weight_[from] - weight_[to];
      if (difference <= slack) return false;
      // What one worker holds may be too heavy to help; then another's may do.
      const auto place = BestToMove(from, to, slack);
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

  // What `to` had before, unless that turns the scales; then what is nearest to half the difference, and of
  // several the last of the job of which `from` has most beyond `to`.
  std::optional<PartitionAt> BestToMove(size_t from, size_t to, int64_t slack) const {
    const int64_t difference = weight_[from] - weight_[to];
    std::optional<PartitionAt> best;
    const auto rank = [&](const PartitionAt& place) {
      const int64_t left = difference - 2 * WeightOf(place);
      const bool returns = before_[place.job][place.partition] == to && left >= -slack;
      const int64_t beyond = int64_t{held_of_job_[from][place.job]} - int64_t{held_of_job_[to][place.job]};
      return std::make_tuple(!returns, std::abs(left), -beyond, place.job,
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
  std::vector<std::vector<size_t>> before_;         // who had it before its last owner, by job and partition
  std::vector<std::vector<size_t>> standby_;        // likewise: who has a copy of its state
  std::vector<std::vector<bool>> moved_;            // in this planning, by job and partition
  std::vector<std::vector<PartitionAt>> held_;      // by worker
  std::vector<int64_t> weight_;                     // by worker
  std::vector<std::vector<uint32_t>> held_of_job_;  // by worker and job
  std::vector<std::vector<uint32_t>> zone_of_job_;  // by zone and job
};

}  // namespace

Owners Plan(std::vector<PlanWorker> workers, std::vector<PlanJob> jobs, const Owners& previous,
            size_t max_moves, const Owners& before, const Owners& standbys) {
  std::sort(workers.begin(), workers.end(),
            [](const PlanWorker& a, const PlanWorker& b) { return a.name < b.name; });
  std::sort(jobs.begin(), jobs.end(), [](const PlanJob& a, const PlanJob& b) { return a.uid < b.uid; });
  const bool any = std::any_of(workers.begin(), workers.end(), [](const PlanWorker& w) { return !w.drains; });
  const PlanSegments segments(jobs);
  if (any) {
    return segments.Join(Planning(workers, segments.parts(), segments.Cut(previous), segments.Cut(before),
                                  segments.Cut(standbys), max_moves)
                             .Run());
  }
  Owners nobody;
  for (const PlanJob& part : segments.parts()) nobody[part.uid].assign(part.partitions, "");
  return segments.Join(nobody);
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
