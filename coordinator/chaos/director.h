// Runs a scenario: a cluster, three jobs' ledgers fed at their rate, the plan's faults at their time; then everything
// that is left to see, as a history for the checker.
//
// One thread does it all, in turns: look after the processes, write what is due, look at the streams, let
// faults begin, go on and end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "coordinator/chaos/fault.h"
#include "coordinator/chaos/history.h"
#include "coordinator/chaos/recoveries.h"

namespace millrace::chaos {

struct DirectorOptions {
  Scenario scenario;
  uint64_t seed = 0;
  std::string folder;      // everything is kept there
  std::string nats_url;    // empty: a cluster of its own
  std::string old_worker;  // what its workers begin as; empty: this release's executable
  // Called once for each fault, when it is over and what waited is out (or is given up).
  std::function<void(const FaultOutcome&)> on_fault;
};

// Not thread-safe; on the main thread (see Process). Its end stops the cluster that it started.
class Director {
 public:
  Director(DirectorOptions options, Clock& clock);
  ~Director();

  const std::vector<PlannedFault>& plan() const { return plan_; }
  // CANCELLED: a stop signal came. What the cluster does wrong is no error: it is in the history.
  absl::StatusOr<History> Run();
  // The streams as they are, into folder/streams. REQUIRES: Run was called.
  absl::Status Dump();

 private:
  struct Running {
    size_t outcome = 0;  // in history_.faults
    std::unique_ptr<Fault> fault;
    bool begun = false;
  };

  absl::Status Prepare();
  absl::Status StartCluster();
  absl::Status StartFeeders();
  absl::Status RunLoad();
  absl::Status Drain();
  void AskStates();
  absl::Status FinishJobs();
  absl::Status Collect();
  absl::Status CleanUp();

  // One round of everything that goes on by itself. CANCELLED: a stop signal came.
  absl::Status Turn();
  absl::Status TurnUntil(const std::function<bool()>& holds, absl::Duration bound, bool* held);
  void Look();
  void TurnFaults();
  bool HasTarget(const Running& running) const;
  bool MayBegin(const Fault& fault) const;
  void Begin(Running& running);
  void End(Running& running);
  void GiveUpFaults();
  void TakeSighting(const FaultOutcome& outcome);

  absl::Duration Now() const { return clock_.Monotonic() - load_began_; }
  bool BrokerIsUp() const;
  size_t Due() const;
  absl::Duration Patience() const;
  RecordCounts CountAll(LedgerKind crossing,
                        const std::function<uint64_t(LedgerKind, uint32_t)>& count) const;
  RecordCounts Fed() const;
  RecordCounts Out() const;
  RecordCounts Expected() const;
  bool StopsLoudly(LedgerKind ledger, uint32_t partition) const;
  const std::string& JobNameOf(LedgerKind ledger) const { return names_[static_cast<size_t>(ledger)]; }
  LedgerHistory& HistoryOf(LedgerKind ledger) { return history_.ledgers[static_cast<size_t>(ledger)]; }

  const DirectorOptions options_;
  Clock& clock_;
  const std::vector<PlannedFault> plan_;
  const uint32_t partitions_;
  std::vector<std::string> names_;  // of the jobs, by LedgerKind
  History history_;
  std::vector<std::vector<uint64_t>> overruns_,
      outputs_;  // by ledger and partition, worked out from the input

  std::unique_ptr<Nodes> nodes_;
  std::unique_ptr<PlainNats> nats_;
  std::unique_ptr<Monitor> monitor_;
  std::vector<std::unique_ptr<Feeder>> feeders_;
  Stage stage_;

  absl::Duration load_began_, next_look_;
  bool loading_ = false;
  size_t next_fault_ = 0;  // of the plan
  std::vector<Running> running_;
  Recoveries recoveries_;
};

}  // namespace millrace::chaos
