#include "coordinator/chaos/fault.h"

#include "absl/strings/str_format.h"

namespace millrace::chaos {

std::unique_ptr<Fault> Fault::Make(const PlannedFault& plan, const Stage& stage) {
  for (const auto make : {MakeProcessFault, MakeScaleFault, MakeUpgradeFault, MakeBrokerFault,
                          MakeLeaderFault, MakeStopFault, MakeLinkFault, MakeDiskFault, MakeCheckpointFault,
                          MakeScarcityFault, MakeStreamFault, MakeIngestFault}) {
    if (auto fault = make(plan, stage)) return fault;
  }
  return nullptr;
}

void Fault::Start() {
  began_ = stage_.clock->Monotonic();
  Begin();
}

std::string Fault::Took() const { return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(Since())); }

void Fault::See(std::string effect) {
  if (effect_.empty()) effect_ = std::move(effect);
}

}  // namespace millrace::chaos
