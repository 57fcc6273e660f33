// A worker process put together: connections, lanes, pull loop, committer, openers, lease; and the manager
// that makes what runs here agree with what the leader wants.
//
// Threads: the caller's (manager: lease, assignments, queries), the pull loop, the lanes, one committer, one recorder of
// verdicts, the openers, one for each stage whose code runs in handler processes, the checkpointer, the standby keeper, the watchdog, and the NATS client's own. Connections: one for
// the lanes' data, one for the manager, one for each opener, one for the recorder, one for the watchdog, and those of the checkpoint
// store, so that nothing that blocks on one holds up another.
//
// Shutdown, each step waiting for the one before: the lease says `draining` -> partitions go on until others
// have copied their state and own them, where there is a checkpoint store and for half of the drain timeout
// at most -> lanes release every partition that is left (a last commit each) -> the lease is given back -> no
// more questions are taken -> pull loop ends -> lanes end -> pools of handlers end -> committer, recorder and openers end -> the checkpointer and
// the standby keeper end, at their next file -> the watchdog ends -> connections close. What is not released,
// or stored, within the drain timeout is left as a crash would leave it: the process ends without waiting for
// it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/blob/blob_url.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/code/code_files.h"
#include "common/mailbox.h"
#include "common/places.h"
#include "common/step_version.h"
#include "common/threads.h"
#include "worker/checkpoint/checkpointer.h"
#include "worker/lane/lane.h"
#include "worker/lane/report_board.h"
#include "worker/membership/membership.h"
#include "worker/runtime/handler_pools.h"
#include "worker/runtime/lane_thread.h"
#include "worker/runtime/pull_loop.h"
#include "worker/runtime/task_thread.h"
#include "worker/runtime/worker_metrics.h"
#include "worker/standby/standby_keeper.h"
#include "worker/state/data_dir.h"
#include "worker/state/memory_plan.h"

namespace millrace {

inline constexpr absl::Duration kDefaultDrainTimeout = absl::Seconds(20);

struct WorkerOptions {
  std::string name;
  std::string data_dir;
  uint32_t lanes = 1;
  uint64_t memory_bytes = uint64_t{1} << 30;  // for state, of all partitions together
  std::string http;                           // where HTTP answers; only told to others
  std::string version;
  std::string zone;      // only told to others
  int64_t replicas = 1;  // of the buckets, where they are made; 1, 3 or 5
  uint64_t seed = 0;
  std::optional<BlobUrl> checkpoints;  // where they are kept; nowhere
  absl::Duration checkpoint_interval = kDefaultCheckpointInterval;
  size_t checkpoints_kept = kDefaultKeptCheckpoints;
  std::string plugins;         // the folder that they are in; empty: there is none
  Metrics* metrics = nullptr;  // not owned; nullptr: nobody looks
  absl::Duration drain_timeout =
      kDefaultDrainTimeout;  // for the last commits when the process is told to stop

  uint32_t step_version = StepVersion();

  // What a simulation replaces.
  Threads* threads = &SystemThreads();  // not owned
  std::function<std::shared_ptr<DbResources>(const DbResources::Options&)> make_db_resources =
      DbResources::Create;
  std::function<void(int exit_code)> end_process = _exit;  // at once, as a crash would
};

inline constexpr int kOpeners = 2;
inline constexpr int kMaxWaitingQuestions = 256;  // about state, of all who ask

class WorkerRuntime : private LanePorts {
 public:
  using Connect = std::function<absl::StatusOr<std::unique_ptr<Bus>>(const std::string& purpose)>;

  // Takes the data folder and connects. Errors: those of the folder and the connection, for people.
  static absl::StatusOr<std::unique_ptr<WorkerRuntime>> Create(const WorkerOptions& options,
                                                               const Connect& connect, Clock& clock);
  ~WorkerRuntime() override;

  // Runs until `stop` answers true, then shuts down in order. An error is the reason why this worker cannot
  // go on.
  absl::Status Run(const std::function<bool()>& stop);

  // For /readyz: joined, with a lease that is good. Thread-safe.
  bool ready() const { return MayAct(); }
  std::vector<PartitionReport> Reports() const { return board_.All(); }

 private:
  // A partition here, from the wish to own it until it is gone.
  struct Hosted {
    uint64_t instance = 0;
    enum class Phase { kOpening, kRunning, kReleasing, kStopped } phase = Phase::kOpening;
    bool paused = false;
    bool moves = false;    // as its lane was told
    bool abandon = false;  // the lease or the assignment went while it was being opened
    std::shared_ptr<std::atomic<bool>> unwanted = {};  // the same, for its opener
    int failures = 0;
    std::optional<absl::Duration> told_at = {};  // to own it; nullopt once it runs
    size_t versions = 0;                         // of the code, that it has been told of
    bool gives_verdicts = false;                 // as OpenedPartition
    absl::Duration opened_at;
    absl::Duration retry_at;  // kStopped: not to be tried again before; InfiniteDuration: not at all
  };
  struct Opened {
    PartitionKey key;
    uint64_t instance;
    absl::StatusOr<std::unique_ptr<OpenedPartition>> result;
  };
  struct Gone {
    uint64_t instance;
    absl::Status why;  // not OK: it stopped by itself
  };
  struct Question {
    Bus::Incoming query;
    Places::Place place;  // until it is answered
  };
  struct Strays {
    std::vector<DataDir::Partition> on_disk;  // all that is there; the manager knows which are strays
  };
  using ManagerEvent = std::variant<Opened, Gone, Question, Strays>;

  WorkerRuntime(const WorkerOptions& options, Clock& clock);
  absl::Status Start(const Connect& connect);
  absl::Status StartCheckpoints(const Connect& connect);

  // LanePorts: called by lanes
  ReaderId OpenReader(uint32_t lane, const ReaderOptions& options) override {
    return pull_loop_->OpenReader(lane, options);
  }
  void CloseReader(ReaderId reader) override { pull_loop_->CloseReader(reader); }
  void WriteCommit(uint32_t lane, uint64_t instance, StateStore& store,
                   std::unique_ptr<FrozenCommit> commit) override;
  void LookForLaterOwner(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                         Epoch epoch) override;
  void LinkCheckpoint(uint32_t lane, uint64_t instance, const CheckpointOwner& owner,
                      StateStore& store) override;
  void ReadResultTail(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                      const LogTail& tail) override;
  std::unique_ptr<StageHandlers> UseHandlers(uint64_t instance, const HandlerStage& stage) override {
    return handler_pools_->Use(stage, instance);
  }
  void WriteVerdicts(uint32_t lane, uint64_t instance, const PartitionKey& partition, Epoch epoch,
                     const LogTail& tail, std::vector<Verdict> verdicts) override;
  void ReadAnswers(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                   AnswerReading reading) override;
  bool MayAct() const override;
  void Released(uint64_t instance, const absl::Status& why) override;

  absl::Status Turn();
  void HandleManagerEvent(ManagerEvent event);
  void HandleOpened(Opened opened);
  void HandleGone(const Gone& gone);
  void RouteQuery(const Question& question);
  void DropLostLease();
  void Reconcile();
  void FollowCode(Hosted& hosted, const DesiredPartition& wish);
  void FollowMove(Hosted& hosted, const DesiredPartition& wish);
  void FollowCopies();
  void AwaitCopies();
  void PlanStateBudgets();
  void StartOpening(const PartitionKey& key, const DesiredPartition& wish);
  absl::StatusOr<std::unique_ptr<OpenedPartition>> Open(Bus& bus, const OpenRequest& request);
  void Release(Hosted& hosted, bool abandon);  // NOLINT: the name of the flag is its meaning
  void LookForStrayState();
  void RemoveStrayState(const Strays& there);
  absl::Status ServeQueries();
  absl::Status StopServing();
  void ShutDown();
  void StopStoreUsers(absl::Duration deadline);
  uint32_t EmptiestLane() const;
  void ReportTrouble(const PartitionKey& key, const Hosted& hosted, std::string_view state,
                     const absl::Status& why);

  const WorkerOptions options_;
  Clock& clock_;
  Metrics no_metrics_;
  Metrics& metrics_;
  WorkerMetrics worker_metrics_;
  Places question_places_{kMaxWaitingQuestions};
  std::unique_ptr<DataDir> data_dir_;
  std::shared_ptr<DbResources> db_resources_;
  MemoryPlan memory_plan_;
  CodeFiles code_files_{options_.plugins};

  std::unique_ptr<Bus> data_bus_, manager_bus_, watchdog_bus_, recorder_bus_, checkpoint_bus_;
  std::vector<std::unique_ptr<Bus>> opener_buses_;
  ReportBoard board_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<PullLoop> pull_loop_;
  std::unique_ptr<HandlerPools> handler_pools_;  // what they deliver goes to lanes
  std::vector<std::unique_ptr<LaneThread>> lanes_;
  std::unique_ptr<Checkpointer> checkpointer_;  // nullptr: no store
  std::unique_ptr<StandbyKeeper> keeper_;       // likewise
  std::unique_ptr<TaskThread> committer_;
  std::unique_ptr<TaskThread> recorder_;  // of verdicts: what waits for them waits for no restore
  std::vector<std::unique_ptr<TaskThread>> openers_;
  Mailbox<ManagerEvent> inbox_{*options_.threads};
  std::atomic<int64_t> lease_valid_until_ns_{0};

  std::map<PartitionKey, Hosted> hosted_;
  DesiredPartitions desired_;
  WantedCopies desired_copies_;
  uint64_t desired_revision_ = 0;
  uint64_t instances_ = 0;
  std::string served_incarnation_;
  bool shutting_down_ = false;
  std::optional<absl::Duration> ends_by_ = {};  // once it is to end: what is not done then is left
  absl::Duration stray_checked_at_;
  bool stray_check_under_way_ = false;
};

}  // namespace millrace
