// Watches a run from outside, by what anybody can read in NATS: the last message of each stream, the leases,
// the terms.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/chaos/history.h"
#include "coordinator/chaos/plain_nats.h"
#include "coordinator/chaos/plan.h"

namespace millrace::chaos {

struct PartitionSeen {
  uint64_t records_in = 0;         // fed so far; of a second segment not known
  uint64_t records_out = 0;        // results so far; of what crosses to a second segment not known
  uint64_t result_epoch = 0;       // where there is no result stream, of the last owner known
  std::string owner, incarnation;  // of the greatest epoch that a lease names
  uint64_t owner_epoch = 0;
  std::string state, reason;
};

// What a ledger is told as, in results and in states alike. INVALID_ARGUMENT: it is no ledger's value.
absl::StatusOr<LedgerEntry> ParseLedgerEntry(const nlohmann::json& value, LedgerKind kind);

// Not thread-safe. Nothing here waits longer than PlainNats does.
class Monitor {
 public:
  // `names`: what the jobs are called, by LedgerKind. Each segment has so many partitions.
  Monitor(PlainNats& nats, std::vector<std::string> names, uint32_t partitions);

  // Looks at everything once. UNAVAILABLE: the broker does not answer; what was seen before stays.
  absl::Status Poll();

  const PartitionSeen& Seen(LedgerKind ledger, uint32_t partition) const {
    return seen_[Index(ledger)][partition];
  }
  uint32_t partitions() const { return partitions_; }
  // Every partition of every job is owned and runs.
  bool AllRun() const;
  uint64_t InFlight() const;
  uint64_t RecordsOut() const;
  // How many partitions the leader has given it.
  uint64_t Assigned(const std::string& worker) const;
  // (ledger, partition) of what the worker says it owns, with the epoch.
  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> OwnedBy(const std::string& worker) const;
  // How many of these have a result stream of a later epoch by now.
  int TakenOver(const std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>>& owned) const;

  uint64_t term() const { return term_; }
  pid_t leader_pid() const { return leader_pid_; }  // 0: not known

  // The uid of the job; empty before it is there.
  const std::string& uid(LedgerKind ledger) const { return uids_[Index(ledger)]; }
  const std::string& name(LedgerKind ledger) const { return names_[Index(ledger)]; }
  // "completed", "failed: …"; empty while it runs.
  absl::StatusOr<std::string> End(LedgerKind ledger);
  absl::StatusOr<uint64_t> DeadLetters(LedgerKind ledger);
  // What the owner says of its whole state, at one offset. UNAVAILABLE: nobody answers. ABORTED: it moved on
  // between two pages.
  absl::StatusOr<StateSeen> AskState(LedgerKind ledger, uint32_t partition);

  // What owners said of themselves, a partition's in order.
  const std::vector<OwnerSeen>& owners(LedgerKind ledger, uint32_t partition) const {
    return owners_[Index(ledger)][partition];
  }

 private:
  static size_t Index(LedgerKind ledger) { return static_cast<size_t>(ledger); }
  absl::Status FindJobs();
  absl::Status ReadLeases();
  void TakeReport(const nlohmann::json& lease, const nlohmann::json& report);
  absl::Status ReadStreams();
  absl::Status ReadInput(size_t ledger, uint32_t partition);
  absl::Status ReadResults(size_t ledger, uint32_t partition);
  absl::Status ReadLeader();
  absl::Status ReadAssignment();
  absl::StatusOr<PlainMessage> LastOf(const std::string& stream, const std::string& subject);
  // Of the keys <kind>.<n> or <kind>.<n>.<m> the one with the greatest numbers. Older ones may be deleted
  // after it was made: the last message need not be it.
  absl::StatusOr<PlainMessage> GreatestOf(const std::string& kind);

  PlainNats& nats_;
  const std::vector<std::string> names_;
  const uint32_t partitions_;
  std::vector<std::string> uids_;
  std::vector<std::vector<PartitionSeen>> seen_;
  std::vector<std::vector<std::vector<OwnerSeen>>> owners_;
  std::map<std::string, uint64_t> lease_revisions_;  // by worker: the last one read
  std::map<std::string, uint64_t> assigned_;         // partitions, by worker
  uint64_t term_ = 0;
  pid_t leader_pid_ = 0;
};

}  // namespace millrace::chaos
