// The leader's loop, one step at a time: reads the cluster's documents, asks the pure decisions (Plan, Next),
// and writes what they answer as keys made once.
//
// It keeps nothing that it could not read again: a leader that dies between any two lines leaves a cluster in
// which the next one comes to the same decisions. Its first assignment in a term is always written, changed
// or not: from then on nothing that the leader of an older term still adds can be the greatest (term,
// number).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/assignment_log.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/leader/copy_ahead.h"
#include "coordinator/leader/job_lifecycle.h"
#include "coordinator/leader/job_table.h"
#include "coordinator/leader/leadership.h"
#include "coordinator/leader/load_table.h"
#include "coordinator/leader/moves_under_way.h"
#include "coordinator/leader/owner_history.h"
#include "coordinator/leader/plan.h"
#include "coordinator/leader/worker_table.h"

namespace millrace {

// Not thread-safe: one thread polls the bus, feeds events and steps. Step blocks on the bus, each call at
// most for its control deadline.
class Leader {
 public:
  Leader(Leadership::Options options, Bus& bus, Clock& clock);

  void HandleEvent(const BusEvent& event);
  // To be called after every poll, and at least a few times in a third of a lease.
  void Step();
  void Resign() { leadership_.Resign(); }

  const Leadership& leadership() const { return leadership_; }
  const ClusterView& view() const { return view_; }
  bool connected() const { return connected_; }

  struct Totals {
    uint64_t assignments = 0;  // written by this process
    uint64_t moves = 0;        // partitions that they took from one worker to another
    uint64_t finals = 0;
  };
  const Totals& totals() const { return totals_; }
  WorkerTable::Counts CountWorkers() const;
  // The jobs that are not over, while this coordinator leads and has read everything there is to know.
  std::vector<OpenJob> JobsInCharge() const;
  // Likewise: all jobs but those whose results were all brought out to their sinks.
  std::vector<const JobRecord*> JobsToBringOut() const;

 private:
  // What a leader must know of its own term before it decides.
  struct Reign {
    uint64_t term = 0;
    absl::Duration plan_not_before;
    CatchUp jobs, workers, assignments;  // until a view is whole, what is missing from it would look deleted
    bool had_workers = false;
    bool said_no_workers = false;
    bool wrote_assignment = false;
    bool knows_owners = false;
    std::set<std::string> said_no_standby;  // jobs, by uid
  };
  void Observe();
  void BeginReign();
  bool HasReadEverything();
  JobFacts FactsOf(const OpenJob& job, const Owners& owners) const;
  bool EndJob(const JobRecord& record, FinalStatus final);
  void RememberOwners(const std::vector<JobAssignment>& running);
  std::vector<std::string> Draining() const;
  bool Reigns() const;
  bool MayPlan(bool workers_ready);  // NOLINT: the name of the flag is its meaning
  void Measure(const std::string& uid, const JobFacts& facts);
  void AddLoads(std::vector<PlanJob>* jobs, const std::vector<JobAssignment>& running);
  // All three speak of the same jobs, in the same order.
  struct Jobs {
    std::vector<JobAssignment> running;
    std::vector<PlanJob> to_plan;
    std::vector<JobFacts> facts;
  };
  void Assign(Jobs jobs);
  void PlacePartitions(const std::vector<PlanWorker>& workers, Jobs* jobs);
  void HoldBackMoves(const JobFacts& facts, JobAssignment* job);
  void PlaceStandbys(const std::vector<PlanWorker>& workers, Jobs* jobs);

  Bus& bus_;
  Clock& clock_;
  const absl::Duration collect_for_;
  ClusterView view_;
  Leadership leadership_;
  WorkerTable workers_;
  JobTable jobs_;
  AssignmentLog assignments_;
  LoadTable loads_;
  MovesUnderWay moves_;
  CopyClock copies_;
  bool connected_ = true;
  std::optional<absl::Duration> stepped_at_;
  Reign reign_;
  OwnerHistory owners_;
  Totals totals_;
};

}  // namespace millrace
