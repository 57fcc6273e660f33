#include "coordinator/leader/plan_standbys.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace millrace {
namespace {

constexpr size_t kNoWorker = static_cast<size_t>(-1);

struct PlaceOfCopy {
  std::string uid;
  size_t partition = 0;
  size_t owner = kNoWorker;
  size_t standby = kNoWorker;
};

// One planning, in indices of workers.
class StandbyPlanning {
 public:
  StandbyPlanning(const std::vector<PlanWorker>& workers, const std::vector<std::string>& wanting,
                  const Owners& owners, const Owners& previous)
      : workers_(workers), copies_(workers.size(), 0) {
    for (size_t w = 0; w < workers.size(); ++w) {
      if (workers[w].checkpoints && !workers[w].drains) targets_.push_back(w);
    }
    for (const std::string& uid : wanting) {
      const auto owned = owners.find(uid);
      if (owned == owners.end()) continue;
      const auto before = previous.find(uid);
      for (size_t p = 0; p < owned->second.size(); ++p) {
        PlaceOfCopy place{uid, p, NumberOf(owned->second[p])};
        if (before != previous.end() && p < before->second.size()) Keep(NumberOf(before->second[p]), &place);
        places_.push_back(place);
      }
    }
  }

  Owners Run() {
    for (PlaceOfCopy& place : places_) {
      if (place.standby == kNoWorker) Fill(&place);
    }
    for (size_t moves = 0; moves < places_.size() && MoveOne(); ++moves) {
    }
    Owners answer;
    for (const PlaceOfCopy& place : places_) {
      answer[place.uid].push_back(place.standby == kNoWorker ? "" : workers_[place.standby].name);
    }
    return answer;
  }

 private:
  size_t NumberOf(const std::string& name) const {
    const auto at =
        std::lower_bound(workers_.begin(), workers_.end(), name,
                         [](const PlanWorker& worker, const std::string& n) { return worker.name < n; });
    return at != workers_.end() && at->name == name ? static_cast<size_t>(at - workers_.begin()) : kNoWorker;
  }

  bool IsNear(size_t w, const PlaceOfCopy& place) const {
    return place.owner != kNoWorker && workers_[w].zone == workers_[place.owner].zone;
  }

  void Keep(size_t w, PlaceOfCopy* place) {
    const auto is_target = [&](size_t t) { return std::binary_search(targets_.begin(), targets_.end(), t); };
    if (w == kNoWorker || w == place->owner || !is_target(w)) return;
    const bool others =
        std::any_of(targets_.begin(), targets_.end(), [&](size_t t) { return !IsNear(t, *place); });
    if (IsNear(w, *place) && others) return;
    Give(w, place);
  }

  void Give(size_t w, PlaceOfCopy* place) {
    if (place->standby != kNoWorker) --copies_[place->standby];
    place->standby = w;
    ++copies_[w];
  }

  // Of those farthest away the one with the fewest copies. Without an owner there is nothing to copy.
  void Fill(PlaceOfCopy* place) {
    std::optional<size_t> best;
    const auto rank = [&](size_t w) { return std::make_tuple(IsNear(w, *place), copies_[w]); };
    for (const size_t w : targets_) {
      if (w == place->owner || place->owner == kNoWorker) continue;
      if (!best || rank(w) < rank(*best)) best = w;
    }
    if (best) Give(*best, place);
  }

  // Takes a copy from a worker with many and gives it to one with few. False when nothing levels any more.
  bool MoveOne() {
    std::vector<size_t> few = targets_;
    std::stable_sort(few.begin(), few.end(), [&](size_t a, size_t b) { return copies_[a] < copies_[b]; });
    const auto is_even = [&](size_t to) { return copies_[few.back()] <= copies_[to] + 1; };
    for (const size_t to : few) {
      if (is_even(to)) return false;
      PlaceOfCopy* best = nullptr;
      for (PlaceOfCopy& place : places_) {
        if (place.standby == kNoWorker || place.owner == to || copies_[place.standby] <= copies_[to] + 1)
          continue;
        if (IsNear(to, place) && !IsNear(place.standby, place)) continue;
        if (best == nullptr || copies_[place.standby] > copies_[best->standby]) best = &place;
      }
      if (best == nullptr) continue;
      Give(to, best);
      return true;
    }
    return false;
  }

  const std::vector<PlanWorker>& workers_;  // in order of name
  std::vector<size_t> targets_;             // who can keep copies; in order
  std::vector<size_t> copies_;              // by worker
  std::vector<PlaceOfCopy> places_;
};

}  // namespace

Owners PlanStandbys(std::vector<PlanWorker> workers, std::vector<std::string> wanting, const Owners& owners,
                    const Owners& previous) {
  std::sort(workers.begin(), workers.end(),
            [](const PlanWorker& a, const PlanWorker& b) { return a.name < b.name; });
  std::sort(wanting.begin(), wanting.end());
  return StandbyPlanning(workers, wanting, owners, previous).Run();
}

}  // namespace millrace
