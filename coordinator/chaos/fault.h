// One fault while it happens: it begins, is turned until it is over, and says what was seen of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "coordinator/chaos/feeder.h"
#include "coordinator/chaos/monitor.h"
#include "coordinator/chaos/nodes.h"
#include "coordinator/chaos/plain_nats.h"
#include "coordinator/chaos/plan.h"

namespace millrace::chaos {

// What a fault acts on and looks at. `nodes` is null where the cluster is somebody else's.
struct Stage {
  Clock* clock = nullptr;
  Nodes* nodes = nullptr;
  PlainNats* nats = nullptr;
  Monitor* monitor = nullptr;
  std::vector<std::unique_ptr<Feeder>>* feeders = nullptr;  // by LedgerKind
  absl::Duration lease;
};

// Not thread-safe; on the main thread.
class Fault {
 public:
  static std::unique_ptr<Fault> Make(const PlannedFault& plan, const Stage& stage);
  virtual ~Fault() = default;

  // Without a partition its worker would feel nothing of it: it waits until there is one, for a while.
  virtual bool NeedsPartition() const { return false; }
  // The processes that nothing else may happen to meanwhile.
  virtual std::vector<std::string> Holds() const { return {}; }
  // Once, when nobody else holds these.
  void Start();
  // True when it is over. An effect may be seen until then.
  virtual bool Turn() = 0;

  // What was seen of it; empty: nothing, and then `note` says why.
  const std::string& effect() const { return effect_; }
  const std::string& note() const { return note_; }

 protected:
  Fault(const PlannedFault& plan, const Stage& stage) : plan_(plan), stage_(stage) {}
  virtual void Begin() = 0;

  std::string worker() const { return Nodes::Worker(plan_.worker); }
  bool begun() const { return began_.has_value(); }
  absl::Duration Since() const { return stage_.clock->Monotonic() - *began_; }  // REQUIRES: begun()
  // "3.1 s"
  std::string Took() const;
  // Sets the effect when none was seen before.
  void See(std::string effect);
  void Note(std::string note) { note_ = std::move(note); }

  const PlannedFault plan_;
  const Stage stage_;

 private:
  std::optional<absl::Duration> began_;
  std::string effect_, note_;
};

// How long a fault waits for a worker to have a partition.
inline constexpr absl::Duration kTargetPatience = absl::Seconds(10);
// An effect that does not show within this will not show.
inline constexpr absl::Duration kEffectDeadline = absl::Seconds(20);

// By what they act on; null where the kind is another's.
std::unique_ptr<Fault> MakeProcessFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeBrokerFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeLeaderFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeScaleFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeUpgradeFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeStopFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeLinkFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeDiskFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeCheckpointFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeScarcityFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeStreamFault(const PlannedFault& plan, const Stage& stage);
std::unique_ptr<Fault> MakeIngestFault(const PlannedFault& plan, const Stage& stage);

}  // namespace millrace::chaos
