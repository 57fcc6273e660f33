// A worker's place in the cluster: its lease, and what the leader wants it to own. Steppable; no thread of
// its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/cluster/job_code.h"
#include "common/cluster/key_view.h"
#include "common/job/segments.h"
#include "common/step_version.h"
#include "worker/lane/report_board.h"
#include "worker/partition/partition_id.h"
#include "worker/standby/wanted_copies.h"

namespace millrace {

// A partition that this worker is to own.
struct DesiredPartition {
  // An error: why this worker cannot run the job.
  absl::StatusOr<SegmentVersions> versions;  // of the code, as far as they are known here
  bool paused = false;
  bool moves = false;  // another worker copies its state and is to own it then
};
using DesiredPartitions = std::map<PartitionKey, DesiredPartition>;

// Not thread-safe. Blocks on the broker, each time for at most its control deadline: Step and Leave for the
// lease, KnowsDesired and JobMayExist for where a bucket that is not read in yet ends.
class Membership {
 public:
  struct Options {
    std::string name;
    std::string host;
    int64_t pid = 0;
    uint32_t lanes = 1;
    std::string version;
    std::string zone;
    std::string http;
    std::string data_id;                                   // DataDir::id()
    bool checkpoints = false;                              // it has a store of them
    absl::Duration default_lease_ttl = absl::Seconds(15);  // until a leader has said
    uint64_t seed = 0;                                     // for incarnations
    uint32_t step_version = StepVersion();
  };
  Membership(Bus& bus, Clock& clock, const ReportBoard& board, const Options& options);

  void Handle(const BusEvent& event);
  // What the lease says from its next renewal on of copies that are kept here. `changes`: counts what is to be
  // told at once.
  void SetCopies(std::vector<CopyReport> copies, uint64_t changes);
  // Renews the lease when that is due. It takes none while another data folder's lease of this name may be
  // good: it waits until that has not been renewed for a lease's time. FAILED_PRECONDITION: another process
  // works under this worker's name; give up.
  absl::Status Step();
  // The process is about to end: the lease says `draining` from the next Step on, and partitions go
  // elsewhere.
  void BeginLeaving();
  // Gives the lease back, if there is one: others need not wait for its end.
  void Leave();

  // By the own monotonic clock, reckoned from before the last renewal was sent: never later than what the
  // leader believes.
  absl::Duration lease_valid_until() const { return valid_until_; }
  // Changes with each joining and rejoining.
  const std::string& incarnation() const { return lease_.incarnation; }
  // Call when the lease ran out and everything was dropped: the next renewal joins anew.
  void BecomeNewIncarnation();

  // What the assignment in force gives this worker. Partitions of jobs whose record is not known yet are left
  // out; those of a job that this worker cannot run are there, with the reason.
  DesiredPartitions Desired();
  // The partitions of others whose state this worker is to copy; of every job whose record is known.
  WantedCopies DesiredCopies();
  // Whether Desired() and DesiredCopies() may be believed: not before the buckets were read, and not while they are read anew.
  bool KnowsDesired();
  // Whether a job record of this uid is there; answers true while the buckets are not read in yet.
  bool JobMayExist(const std::string& uid);
  // Moves when Desired() may have changed.
  uint64_t revision() const { return assignments_.revision() + jobs_.revision(); }

 private:
  // A job as this worker can run it.
  struct Runnable {
    std::vector<uint32_t> partitions;  // of each segment; none: its record cannot be read
    absl::StatusOr<std::vector<SegmentVersions>> segments{absl::in_place};
    JobRecord record;
    uint64_t known_versions = 0;  // of its code, by the keys that were read

    absl::StatusOr<SegmentVersions> Segment(uint32_t segment) const {
      if (!segments.ok()) return segments.status();
      if (segment < segments->size()) return (*segments)[segment];
      return absl::DataLossError("the job's record and its file do not agree about its segments");
    }
  };

  absl::Duration lease_ttl() const;
  void LookForDrain();
  // The job as its record and the updates known by now say it; null: no record of this uid is there yet. Valid
  // until the next Desired().
  const Runnable* RunnableOf(const std::string& job, const std::string& uid);
  absl::StatusOr<Runnable> ReadJob(const std::string& job, const std::string& uid) const;
  void ReadUpdates(Runnable& runnable) const;
  // Calls `visit` for each partition that the assignment in force names; `index` is its place in the lists of
  // its job.
  using Visit = std::function<void(const PartitionKey& key, const JobAssignment& job, size_t index,
                                   const Runnable& runnable)>;
  void ForEachAssigned(const Visit& visit);
  absl::Status Renew();
  // Whether the name is free, as far as is known.
  absl::StatusOr<bool> MayTakeName();
  absl::Status NameIsTaken(const WorkerLease& by);
  std::string NewIncarnation();

  Bus& bus_;
  Clock& clock_;
  const ReportBoard& board_;
  const Options options_;
  KeyView assignments_;
  KeyView jobs_;
  CatchUp assignments_read_;
  CatchUp jobs_read_;
  WorkerLease lease_;
  uint64_t last_revision_ = 0;  // of the last renewal; 0: none of this incarnation
  // The lease of another under this name that was there at the first look, and when that was.
  uint64_t rival_revision_ = 0;
  absl::Duration rival_seen_at_;
  uint64_t incarnations_ = 0;
  absl::Duration valid_until_;
  absl::Duration renew_at_;
  absl::Duration renewed_at_;
  uint64_t reported_changes_ = 0;  // of the board and of the copies
  uint64_t copy_changes_ = 0;
  bool leaving_ = false;
  uint64_t drain_looked_for_ = 0;  // in this revision of the assignments
  double cpu_seconds_ = 0;
  absl::Duration cpu_at_;
  std::map<std::string, Runnable> runnable_;  // by uid; of the jobs that the assignment in force names
};

}  // namespace millrace
