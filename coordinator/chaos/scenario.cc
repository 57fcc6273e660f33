#include "coordinator/chaos/scenario.h"

#include <algorithm>
#include <cmath>

#include "common/strings.h"
#include "common/units.h"

namespace millrace::chaos {
namespace {

bool IsKill(FaultKind kind) { return kind == FaultKind::kKill || kind == FaultKind::kKillAll; }

absl::Duration LastOf(const FaultSpec& fault) {
  const absl::Duration first = fault.when.value_or(fault.every.value_or(absl::ZeroDuration()));
  return fault.every.has_value() ? first + (fault.count - 1) * *fault.every : first;
}

}  // namespace

int64_t LoadSpec::records() const {
  return static_cast<int64_t>(static_cast<double>(rate) * absl::ToDoubleSeconds(duration));
}

absl::StatusOr<Scenario> WithKills(Scenario scenario, int64_t kills) {
  int64_t there = 0;
  for (const FaultSpec& fault : scenario.faults) there += IsKill(fault.kind) ? fault.count : 0;
  if (there == 0) {
    return absl::FailedPreconditionError(StrCat(
        "scenario `", scenario.name, "` kills nobody — --kills says how many kills — try --preset kills"));
  }
  const double ratio = static_cast<double>(kills) / static_cast<double>(there);
  int64_t left = kills;
  FaultSpec* greatest = nullptr;
  for (FaultSpec& fault : scenario.faults) {
    fault.when.reset();
    fault.every.reset();
    const double wanted = std::round(static_cast<double>(fault.count) * ratio);
    fault.count = std::max<int64_t>(1, static_cast<int64_t>(wanted));
    if (!IsKill(fault.kind)) continue;
    fault.count = std::min(fault.count, std::max<int64_t>(left, 0));
    left -= fault.count;
    if (greatest == nullptr || fault.count > greatest->count) greatest = &fault;
  }
  greatest->count += left;
  std::erase_if(scenario.faults, [](const FaultSpec& fault) { return fault.count == 0; });
  scenario.load.duration = std::max(scenario.load.duration * ratio, absl::Seconds(10));
  return scenario;
}

absl::StatusOr<Scenario> WithDuration(Scenario scenario, absl::Duration duration) {
  for (const FaultSpec& fault : scenario.faults) {
    if (LastOf(fault) <= duration) continue;
    return absl::InvalidArgumentError(StrCat("--duration ", millrace::FormatDuration(duration), " — a `",
                                             KindName(fault.kind), "` comes at ",
                                             millrace::FormatDuration(LastOf(fault)), " — try a longer one"));
  }
  if (duration < kMinLoad || duration > kMaxLoad) {
    return absl::InvalidArgumentError(
        StrCat("--duration ", millrace::FormatDuration(duration), " — out of range — between 1s and 24h"));
  }
  scenario.load.duration = duration;
  return scenario;
}

}  // namespace millrace::chaos
