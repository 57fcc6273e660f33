// The coordinator as a service: one loop that polls the bus, steps the leader, and shows how things stand.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "coordinator/leader/leader.h"
#include "coordinator/service/board.h"

namespace millrace {

// Belongs to one thread.
class Service {
 public:
  // All outlive it. The buckets exist.
  Service(Leadership::Options options, Bus& bus, Clock& clock, Board& board, Metrics& metrics);

  // Waits for events for a moment, handles all there are, steps.
  void Turn();
  void Resign() { leader_.Resign(); }
  bool Leads() const { return leader_.leadership().Leads(); }
  std::vector<OpenJob> JobsInCharge() const { return leader_.JobsInCharge(); }
  std::vector<const JobRecord*> JobsToBringOut() const { return leader_.JobsToBringOut(); }

 private:
  void Show();
  void Measure(const ClusterSnapshot& snapshot);

  Bus& bus_;
  Clock& clock_;
  Board& board_;
  Metrics& metrics_;
  Leader leader_;
  std::vector<BusEvent> events_;
  std::shared_ptr<const ClusterSnapshot> snapshot_;
  bool changed_ = true;  // since the snapshot
  absl::Duration show_at_ = absl::ZeroDuration();
  absl::Duration measure_at_ = absl::ZeroDuration();

  Gauge leads_, term_;
  Gauge workers_ready_, workers_draining_, workers_stopped_, workers_lost_;
  Counter assignments_, moves_, finals_;
  Leader::Totals counted_;
  std::map<std::string, Gauge> jobs_;  // by state
};

}  // namespace millrace
