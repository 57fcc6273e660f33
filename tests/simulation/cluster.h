// A whole small cluster in one thread: workers (the real WorkerRuntime with its manager, lanes, openers,
// committer and watchdog), coordinators (the real Leader), and submits of one job (the real job creation and
// Ingest), over the simulated network and disks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/cluster/documents.h"
#include "common/job/job_spec.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/kernel.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/network.h"
#include "tests/simulation/oracle.h"

namespace millrace::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  uint32_t workers = 2;
  uint32_t lanes = 1;
  uint64_t memory_bytes = 64 << 20;  // of a worker, for state
  uint32_t coordinators = 2;
  absl::Duration lease_ttl = absl::Seconds(2);
  absl::Duration feed_pause = absl::Milliseconds(10);  // at most, between two looks of an ingest at its input
  uint32_t frame_records = 6;                          // at most
  size_t frame_bytes = 256 << 10;
  LedgerOptions ledger;
  std::string folder;  // a real one, for locks and the input; empty when the cluster is made
};

inline constexpr char kJobName[] = "ledger";

class Cluster {
 public:
  enum class Role { kWorker, kCoordinator, kIngest, kUpdate };
  struct Place {  // where processes of one kind run, one after the other
    Role role;
    uint32_t number = 0;
    Process* process = nullptr;  // null: none runs now
    bool wanted = true;          // is started again when it ends
    uint32_t lives = 0;
    std::unique_ptr<Disk> disk;  // a worker's
    std::string name() const;
  };

  explicit Cluster(const ClusterOptions& options);
  ~Cluster();

  // Starts everything.
  void Start();
  void Start(Place& place);
  // kill -9; whoever is wanted is started again after `away`.
  void Kill(Place& place, absl::Duration away);
  // With the machine: what was not synced is lost.
  void CutPower(Place& place, absl::Duration away);
  void Stop(Place& place, absl::Duration how_long);
  // As Stop, and its monotonic clock has not counted the time when it goes on.
  void Suspend(Place& place, absl::Duration how_long);
  // With the machine; the next one has another data folder.
  void LoseDisk(Place& place, absl::Duration away);
  WorkerLease Lease(const Place& place);
  // What a worker said last is heard once more, as if it had been on its way until now.
  void RepeatLease(const Place& place);
  // As a user does: a second submit of the same job at the same time.
  void StartSecondIngest();
  // Likewise, `coordinator update` with other code than any before; killed, it is run again.
  void StartUpdate();
  void Cancel();
  // Deletes the job with its streams; what is submitted then has another uid.
  void DeleteJob();
  void SubmitAnew();

  Place& worker(uint32_t i) { return *workers_[i]; }
  Place& coordinator(uint32_t i) { return *coordinators_[i]; }
  Place& ingest() { return *ingests_[0]; }
  std::vector<Place*> places();
  // What the bucket of assignments holds.
  std::map<std::string, KeyValue, std::less<>> Assignments();
  // The place of the partition's owner by the assignment in force; null: nobody.
  Place* OwnerOf(uint32_t partition, uint32_t segment = 0);
  // The coordinator that made the newest term, if it runs.
  Place* LeaderPlace();

  std::optional<FinalStatus> Final();
  bool Ended() { return Final().has_value(); }
  const std::string& uid() const { return uid_; }
  Kernel& kernel() { return kernel_; }
  Network& network() { return network_; }
  Oracle& oracle() { return *oracle_; }
  const Ledger& ledger() const { return ledger_; }
  // Every state on every disk is right.
  void CheckDisks();
  void CheckDisk(const Place& place);
  uint64_t deaths() const { return deaths_; }

 private:
  std::string DataFolder(const Place& place) const;
  void RunWorker(Place& place, Process& process);
  void RunCoordinator(Place& place, Process& process);
  void RunIngest(Place& place, Process& process);
  absl::Status Submit(Place& place, Process& process);
  JobSpec SpecInForce();
  void RunUpdate(Place& place, Process& process);
  absl::Status Update(Place& place, Process& process);
  void Ended(Place& place, Process& process);

  const ClusterOptions options_;
  Kernel kernel_;
  Network network_;
  const Ledger ledger_;
  JobSpec spec_;
  std::string uid_;
  uint32_t jobs_ = 0;
  std::vector<std::unique_ptr<Place>> workers_, coordinators_, ingests_, updates_;
  std::unique_ptr<Oracle> oracle_;
  std::optional<absl::Duration> restart_after_;
  uint64_t deaths_ = 0;
  std::optional<FinalStatus> final_;
};

}  // namespace millrace::sim
