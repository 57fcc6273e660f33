#include "tests/simulation/faults.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/bus/bus.h"
#include "common/strings.h"

namespace millrace::sim {
namespace {

using Kind = Fault::Kind;

constexpr std::array kNames = {"kill",       "power cut",      "stop",          "suspend",   "cut",
                               "cut out",    "cut in",         "reset",         "slow",      "lose appends",
                               "lose acks",  "lose answers",   "double",        "swap",      "clock leap",
                               "wall shift", "die at",         "disk full",     "disk slow", "bit flip",
                               "disk lost",  "broker restart", "second ingest", "update"};
static_assert(kNames.size() == static_cast<size_t>(Kind::kKinds));

constexpr std::array kPoints = {"before_restore",
                                "in_restore",
                                "after_claim",
                                "after_epoch_mark",
                                "before_pull",
                                "after_step",
                                "after_output_sent",
                                "after_output_ack",
                                "after_freeze",
                                "between_ack_and_commit",
                                "in_commit",
                                "after_commit",
                                "between_end_marks",
                                "leader_after_term",
                                "leader_before_assign",
                                "leader_before_final",
                                "ingest_after_claim",
                                "ingest_after_epoch_marks",
                                "ingest_after_append",
                                "ingest_before_end_marks",
                                "ingest_between_end_marks",
                                "ingest_before_fed",
                                "update_before_key",
                                "update_after_key",
                                "after_code_mark_sent",
                                "after_code_switch"};

constexpr absl::Duration kSlowTrip = absl::Milliseconds(40);
constexpr absl::Duration kSlowDisk = absl::Milliseconds(300);

void Begin(Cluster& cluster, const Fault& fault, Cluster::Place& place) {
  Link* const link = place.process == nullptr ? nullptr : &place.process->link;
  switch (fault.kind) {
    case Kind::kKill:
      return cluster.Kill(place, fault.lasts);
    case Kind::kPowerCut:
      return cluster.CutPower(place, fault.lasts);
    case Kind::kStop:
      return cluster.Stop(place, fault.lasts);
    case Kind::kSuspend:
      return cluster.Suspend(place, fault.lasts);
    case Kind::kCut:
      if (link != nullptr) link->out_cut = link->in_cut = true;
      return;
    case Kind::kCutOut:
      if (link != nullptr) link->out_cut = true;
      return;
    case Kind::kCutIn:
      if (link != nullptr) link->in_cut = true;
      return;
    case Kind::kReset:
      if (link != nullptr) cluster.network().Reset(*place.process, fault.lasts);
      return;
    case Kind::kSlow:
      if (link != nullptr) link->extra_delay = kSlowTrip;
      return;
    case Kind::kLoseAppends:
      if (link != nullptr) link->lose_appends += fault.count;
      return;
    case Kind::kLoseAcks:
      if (link != nullptr) link->lose_acks += fault.count;
      return;
    case Kind::kLoseAnswers:
      if (link != nullptr) link->lose_answers += fault.count;
      return;
    case Kind::kDouble:
      if (link != nullptr) link->duplicate_appends += fault.count;
      return;
    case Kind::kSwap:
      if (link != nullptr) link->swap_appends += fault.count;
      return;
    case Kind::kClockLeap:
      if (link != nullptr) place.process->clock_leap += fault.lasts;
      return;
    case Kind::kWallShift:
      if (link != nullptr) place.process->wall_shift += (fault.count % 2 == 0 ? 1 : -1) * absl::Hours(1);
      return;
    case Kind::kDieAt:
      if (link == nullptr) return;
      place.process->die_at = fault.point;
      place.process->die_at_pass = fault.count;
      return;
    case Kind::kDiskFull:
      if (place.disk != nullptr) place.disk->FillUp(true);
      return;
    case Kind::kDiskSlow:
      if (place.disk != nullptr) place.disk->SlowDown(kSlowDisk);
      return;
    case Kind::kBitFlip:
      cluster.Kill(place, fault.lasts);
      if (place.disk != nullptr) place.disk->FlipABit();
      return;
    case Kind::kDiskLost:
      return cluster.LoseDisk(place, fault.lasts);
    case Kind::kBrokerRestart:
      return cluster.network().RestartBroker(fault.lasts);
    case Kind::kSecondIngest:
      return cluster.StartSecondIngest();
    case Kind::kUpdate:
      return cluster.StartUpdate();
    case Kind::kKinds:
      return;
  }
}

void End(Cluster& cluster, const Fault& fault, Cluster::Place& place) {
  if (place.disk != nullptr && fault.kind == Kind::kDiskFull) place.disk->FillUp(false);
  if (place.disk != nullptr && fault.kind == Kind::kDiskSlow) place.disk->SlowDown(absl::ZeroDuration());
  if (place.process == nullptr) return;
  Link& link = place.process->link;
  switch (fault.kind) {
    case Kind::kCut:
    case Kind::kCutOut:
    case Kind::kCutIn:
      // Either it flows again, or the connections were given up meanwhile.
      link.out_cut = link.in_cut = false;
      if (fault.count % 2 == 0) cluster.network().Reset(*place.process, absl::Milliseconds(100));
      return;
    case Kind::kSlow:
      link.extra_delay = absl::ZeroDuration();
      return;
    case Kind::kDieAt:
      place.process->die_at.clear();
      return;
    default:
      return;
  }
}

}  // namespace

std::string Fault::ToString() const {
  return absl::StrFormat("%8.3f s  %s place %d for %.3f s, %d%s", absl::ToDoubleSeconds(at),
                         kNames[static_cast<size_t>(kind)], place, absl::ToDoubleSeconds(lasts), count,
                         point.empty() ? "" : StrCat(" ", point));
}

FaultPlan MakeFaultPlan(uint64_t seed, uint32_t places, uint32_t most, absl::Duration span) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15u + 1);
  const auto below = [&](uint64_t n) { return random() % n; };
  FaultPlan plan(below(most + 1));
  for (Fault& fault : plan) {
    // Half of them kill or stop somebody: what the rest must be mixed with.
    static constexpr std::array kOften = {Kind::kKill, Kind::kStop,    Kind::kDieAt,
                                          Kind::kCut,  Kind::kSuspend, Kind::kDieAt};
    fault.kind = below(2) == 0 ? kOften[below(kOften.size())]
                               : static_cast<Kind>(below(static_cast<uint64_t>(Kind::kKinds)));
    fault.at = absl::Microseconds(
        static_cast<int64_t>(below(static_cast<uint64_t>(absl::ToInt64Microseconds(span)))));
    // Shorter than a lease, or longer.
    fault.lasts =
        absl::Milliseconds(static_cast<int64_t>(below(4) == 0 ? 1000 + below(5000) : 1 + below(600)));
    fault.place = static_cast<uint32_t>(below(places));
    fault.count = static_cast<uint32_t>(1 + below(6));
    if (fault.kind == Kind::kDieAt) fault.point = kPoints[below(kPoints.size())];
  }
  // New code in every second run.
  if (below(2) == 0) {
    Fault& update = plan.emplace_back();
    update.kind = Kind::kUpdate;
    update.at = absl::Microseconds(
        static_cast<int64_t>(below(static_cast<uint64_t>(absl::ToInt64Microseconds(span)))));
  }
  std::sort(plan.begin(), plan.end(), [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return plan;
}

void Schedule(Cluster& cluster, const FaultPlan& plan) {
  for (const Fault& fault : plan) {
    cluster.kernel().At(fault.at, [&cluster, fault] {
      std::vector<Cluster::Place*> places = cluster.places();
      Cluster::Place& place = *places[fault.place % places.size()];
      cluster.kernel().Note(StrCat("fault: ", fault.ToString()), place.name());
      Begin(cluster, fault, place);
    });
    cluster.kernel().At(fault.at + fault.lasts, [&cluster, fault] {
      std::vector<Cluster::Place*> places = cluster.places();
      End(cluster, fault, *places[fault.place % places.size()]);
    });
  }
}

absl::Duration EndOf(const FaultPlan& plan) {
  absl::Duration end, unanswered;
  for (const Fault& fault : plan) {
    end = std::max(end, fault.at + fault.lasts);
    // Whoever asks in vain waits to the end, and may ask only then.
    if (fault.kind == Fault::Kind::kLoseAnswers) unanswered += fault.count * kControlDeadline;
  }
  return end + unanswered;
}

}  // namespace millrace::sim
