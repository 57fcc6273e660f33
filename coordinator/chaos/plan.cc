#include "coordinator/chaos/plan.h"

#include <algorithm>
#include <random>

#include "common/strings.h"
#include "common/units.h"

namespace millrace::chaos {
namespace {

// Faults that are spread over the load leave its beginning (there is no state yet to lose) and its end (what
// follows a fault is what shows whether it did harm).
constexpr double kSpreadFrom = 0.08;
constexpr double kSpreadTo = 0.92;
constexpr double kJitter = 0.25;  // of `every`
constexpr int64_t kMostRunningPassings = 30;
constexpr int64_t kMostOpeningPassings = 3;
constexpr char kIngestAppend[] = "ingest_after_append";

// std::uniform_*_distribution differs from library to library; a plan must not.
class Draws {
 public:
  explicit Draws(uint64_t seed) : engine_(seed) {}
  uint64_t Number() { return engine_(); }
  int64_t Below(int64_t end) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(end)); }
  double Share() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

 private:
  std::mt19937_64 engine_;
};

absl::Duration TimeOf(const FaultSpec& fault, int64_t i, const LoadSpec& load, Draws& draws) {
  const double draw = draws.Share();
  if (fault.every.has_value()) {
    const absl::Duration exact = fault.when.value_or(*fault.every) + i * *fault.every;
    const absl::Duration jitter = *fault.every * (kJitter * (2 * draw - 1));
    return std::clamp(exact + jitter, absl::ZeroDuration(), load.duration);
  }
  if (fault.when.has_value()) return *fault.when;
  // One in each share of the time, somewhere in it: random, and never all at once.
  const double place = (static_cast<double>(i) + draw) / static_cast<double>(fault.count);
  return load.duration * (kSpreadFrom + (kSpreadTo - kSpreadFrom) * place);
}

// How often a process comes past the point, at least: a submit once past its first ones.
int64_t MostPassings(const std::string& point) {
  const auto is_in = [&](const std::vector<std::string>& points) {
    return std::find(points.begin(), points.end(), point) != points.end();
  };
  if (is_in(OpeningPoints())) return kMostOpeningPassings;
  return is_in(IngestPoints()) && point != kIngestAppend ? 1 : kMostRunningPassings;
}

// Of the kinds in their order, so many. Only the Lua job's handler can be made to hang.
int64_t LedgersThatCanBeHit(FaultKind kind) {
  if (kind == FaultKind::kOverrun) return 1;
  if (EndsInLoudStop(kind)) return kOneSegmentJobs;
  return kind == FaultKind::kKillIngest ? kLedgerJobs : kLedgers;
}

PlannedFault Occurrence(const FaultSpec& spec, int64_t i, const Scenario& scenario, Draws& draws) {
  PlannedFault fault;
  fault.kind = spec.kind;
  fault.at = TimeOf(spec, i, scenario.load, draws);
  fault.duration = spec.duration;
  fault.worker = draws.Below(scenario.cluster.workers);
  if (!spec.points.empty()) {
    fault.point = spec.points[static_cast<size_t>(i) % spec.points.size()];
    fault.passing = 1 + draws.Below(MostPassings(fault.point));
  }
  fault.ledger = static_cast<LedgerKind>(draws.Below(LedgersThatCanBeHit(spec.kind)));
  fault.partition = static_cast<uint32_t>(draws.Below(scenario.load.partitions));
  fault.way = spec.way;
  fault.delay = spec.delay;
  fault.loss = spec.loss;
  fault.workers = spec.workers;
  fault.seed = draws.Number();
  fault.broker = static_cast<int64_t>(fault.seed % static_cast<uint64_t>(scenario.cluster.brokers));
  fault.brokers = spec.brokers;
  if (fault.kind == FaultKind::kClockJump) fault.by = fault.seed % 2 == 0 ? spec.by : -spec.by;
  return fault;
}

std::string Target(const PlannedFault& fault) {
  switch (fault.kind) {
    case FaultKind::kKillAll:
      return " workers";
    case FaultKind::kUpgrade:
      return " of all workers";
    case FaultKind::kKillLeader:
    case FaultKind::kPauseLeader:
      return "";
    case FaultKind::kKillBroker:
      return StrCat(" nats-server-", fault.broker + 1,
                    fault.brokers == 1 ? "" : StrCat(" and ", fault.brokers - 1, " more"));
    case FaultKind::kLameDuck:
      return StrCat(" nats-server-", fault.broker + 1);
    case FaultKind::kOverrun:
    case FaultKind::kKillIngest:
      return StrCat(" of ", JobName(fault.ledger));
    case FaultKind::kStepDown:
    case FaultKind::kRepeatFrame:
    case FaultKind::kPurgeStream:
    case FaultKind::kReplaceStream:
      return StrCat(" of ", LedgerName(fault.ledger), ", partition ", fault.partition);
    case FaultKind::kScale:
      return StrCat(" to ", fault.workers, " workers");
    default:
      return StrCat(" worker-", fault.worker + 1);
  }
}

std::string_view WayName(Way way) {
  return way == Way::kBoth ? "both ways" : way == Way::kToServer ? "to the server" : "from the server";
}

}  // namespace

std::string_view JobName(LedgerKind kind) {
  switch (kind) {
    case LedgerKind::kLua:
      return "ledger-lua";
    case LedgerKind::kNative:
      return "ledger-native";
    default:
      return "ledger-crossing";
  }
}

std::string_view LedgerName(LedgerKind kind) {
  switch (kind) {
    case LedgerKind::kFront:
      return "ledger-crossing, segment 0";
    case LedgerKind::kBack:
      return "ledger-crossing, segment 1";
    default:
      return JobName(kind);
  }
}

std::vector<PlannedFault> Plan(const Scenario& scenario, uint64_t seed) {
  std::vector<PlannedFault> plan;
  for (size_t entry = 0; entry < scenario.faults.size(); ++entry) {
    // Each entry draws from a generator of its own: another entry changes nothing of this one.
    Draws draws(seed * 0x9e3779b97f4a7c15u + entry);
    const FaultSpec& spec = scenario.faults[entry];
    for (int64_t i = 0; i < spec.count; ++i) {
      plan.push_back(Occurrence(spec, i, scenario, draws));
      plan.back().entry = static_cast<int>(entry);
    }
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const PlannedFault& a, const PlannedFault& b) { return a.at < b.at; });
  for (size_t i = 0; i < plan.size(); ++i) plan[i].number = static_cast<int>(i + 1);
  return plan;
}

std::string Describe(const PlannedFault& fault) {
  std::string text = StrCat(KindName(fault.kind), Target(fault));
  if (!fault.point.empty()) StrAppend(&text, " at ", fault.point, ":", fault.passing);
  if (fault.kind == FaultKind::kCutOff) StrAppend(&text, ", ", WayName(fault.way));
  if (fault.kind == FaultKind::kSlowLink) StrAppend(&text, " by ", millrace::FormatDuration(fault.delay));
  if (fault.kind == FaultKind::kClockJump) {
    StrAppend(&text, fault.by < absl::ZeroDuration() ? " back" : " forward", " by ",
              millrace::FormatDuration(absl::AbsDuration(fault.by)));
  }
  if (fault.kind == FaultKind::kLossyLink) StrAppend(&text, ", ", fault.loss * 100, " % lost");
  if (fault.duration > absl::ZeroDuration()) {
    StrAppend(&text, " for ", millrace::FormatDuration(fault.duration));
  }
  return text;
}

nlohmann::ordered_json ToJson(const std::vector<PlannedFault>& plan) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const PlannedFault& fault : plan) {
    nlohmann::ordered_json row;
    row["number"] = fault.number;
    row["at_ms"] = absl::ToInt64Milliseconds(fault.at);
    row["kind"] = std::string(KindName(fault.kind));
    row["fault"] = Describe(fault);
    row["seed"] = fault.seed;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace millrace::chaos
