#include "worker/runtime/worker_runtime.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/broker_limits.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kTurnWait = absl::Milliseconds(20);
constexpr size_t kMaxManagerEvents = 1024;
constexpr size_t kExpectedPartitions = 16;  // before the first assignment

// In front of the ids of batches for handlers.
std::string HandlerLife(uint64_t seed) { return absl::StrCat(absl::Hex(seed), "-", getpid()); }

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerRuntime>> WorkerRuntime::Create(const WorkerOptions& options,
                                                                     const Connect& connect, Clock& clock) {
  auto runtime = absl::WrapUnique(new WorkerRuntime(options, clock));
  if (absl::Status status = runtime->Start(connect); !status.ok()) return status;
  return runtime;
}

WorkerRuntime::WorkerRuntime(const WorkerOptions& options, Clock& clock)
    : options_(options),
      clock_(clock),
      metrics_(options.metrics != nullptr ? *options.metrics : no_metrics_),
      worker_metrics_(MakeWorkerMetrics(metrics_)),
      memory_plan_(PlanMemory(options.memory_bytes, kExpectedPartitions)) {}

WorkerRuntime::~WorkerRuntime() {
  if (!shutting_down_) ShutDown();
}

absl::Status WorkerRuntime::Start(const Connect& connect) {
  absl::StatusOr<std::unique_ptr<DataDir>> data_dir = DataDir::Open(options_.data_dir);
  if (!data_dir.ok()) return data_dir.status();
  data_dir_ = *std::move(data_dir);
  db_resources_ = options_.make_db_resources(memory_plan_.db);

  for (auto& [bus, purpose] :
       {std::pair(&data_bus_, "data"), std::pair(&manager_bus_, "manager"),
        std::pair(&watchdog_bus_, "watchdog"), std::pair(&recorder_bus_, "recorder")}) {
    absl::StatusOr<std::unique_ptr<Bus>> connected = connect(purpose);
    if (!connected.ok()) return connected.status();
    *bus = *std::move(connected);
  }
  for (int i = 0; i < kOpeners; ++i) {
    absl::StatusOr<std::unique_ptr<Bus>> connected = connect("opener");
    if (!connected.ok()) return connected.status();
    opener_buses_.push_back(*std::move(connected));
  }
  if (absl::Status status = CheckServerPayload(*manager_bus_); !status.ok()) return status;
  for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    if (absl::Status status = manager_bus_->CreateBucket(bucket, static_cast<int>(options_.replicas));
        !status.ok())
      return status;
  }

  if (absl::Status status = StartCheckpoints(connect); !status.ok()) return status;

  Membership::Options membership;
  membership.name = options_.name;
  membership.host = HostName();
  membership.pid = getpid();
  membership.lanes = options_.lanes;
  membership.version = options_.version;
  membership.http = options_.http;
  membership.data_id = data_dir_->id();
  membership.zone = options_.zone;
  membership.checkpoints = checkpointer_ != nullptr;
  membership.seed = options_.seed;
  membership.step_version = options_.step_version;
  membership_ = std::make_unique<Membership>(*manager_bus_, clock_, board_, membership);

  watchdog_ = std::make_unique<Watchdog>(
      *watchdog_bus_, clock_, [this] { options_.end_process(kExitOverrun); }, *options_.threads);
  watchdog_->Start();
  pull_loop_ = std::make_unique<PullLoop>(*data_bus_, options_.lanes, [this](uint32_t lane, LaneEvent event) {
    lanes_[lane]->Send(std::move(event));
  });
  handler_pools_ = std::make_unique<HandlerPools>(
      HandlerPools::Options{.worker = options_.name,
                            .life = HandlerLife(options_.seed),
                            .metrics = &metrics_,
                            .watch_thread =
                                [this](const HandlerStage& stage) {
                                  return std::make_unique<Watchdog::PoolSlot>(*watchdog_, stage.name,
                                                                              stage.timeout);
                                },
                            .seed = options_.seed},
      clock_, *options_.threads, [this](uint64_t instance, std::vector<CallAnswer> answers) {
        lanes_[LaneOf(instance)]->Send(CallsAnswered{instance, std::move(answers)});
      });
  for (uint32_t i = 0; i < options_.lanes; ++i) {
    lanes_.push_back(std::make_unique<LaneThread>(
        std::make_unique<Lane>(i, static_cast<LanePorts&>(*this), *data_bus_, clock_, board_, *watchdog_),
        *options_.threads));
  }
  committer_ = std::make_unique<TaskThread>(*options_.threads);
  recorder_ = std::make_unique<TaskThread>(*options_.threads);
  for (int i = 0; i < kOpeners; ++i) openers_.push_back(std::make_unique<TaskThread>(*options_.threads));
  pull_loop_->Start(*options_.threads);
  return absl::OkStatus();
}

absl::Status WorkerRuntime::StartCheckpoints(const Connect& connect) {
  if (!options_.checkpoints.has_value()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Bus>> bus = connect("checkpoints");
  if (!bus.ok()) return bus.status();
  checkpoint_bus_ = *std::move(bus);
  BlobEnvironment environment;
  environment.connect = [&] { return connect("objects"); };
  environment.variable = EnvironmentVariable;
  environment.replicas = static_cast<int>(options_.replicas);
  environment.seed = options_.seed;
  absl::StatusOr<std::unique_ptr<BlobStore>> store =
      OpenBlobStore(*options_.checkpoints, environment, clock_);
  if (!store.ok()) return store.status();
  Checkpointer::Options options;
  options.engine = options_.version;
  options.keep = options_.checkpoints_kept;
  options.may_act = [this] { return MayAct(); };
  checkpointer_ = std::make_unique<Checkpointer>(*std::move(store), *checkpoint_bus_, clock_, options,
                                                 worker_metrics_.checkpoints);
  StandbyKeeper::Options standby;
  standby.interval = std::min(kStandbyInterval, options_.checkpoint_interval);
  standby.on_news = [this] { manager_bus_->Wake(); };
  standby.fetched_bytes = worker_metrics_.standby_bytes;
  keeper_ = std::make_unique<StandbyKeeper>(checkpointer_->store(), *data_dir_, db_resources_, clock_,
                                            metrics_, standby, *options_.threads);
  return absl::OkStatus();
}

absl::Status WorkerRuntime::Run(const std::function<bool()>& stop) {
  absl::Status status;
  while (status.ok() && !stop()) status = Turn();
  if (status.ok()) AwaitCopies();
  ShutDown();
  return status;
}

absl::Status WorkerRuntime::Turn() {
  std::vector<BusEvent> events;
  manager_bus_->Poll(kTurnWait, kMaxManagerEvents, &events);
  for (const BusEvent& event : events) membership_->Handle(event);
  while (auto event = inbox_.Receive(absl::ZeroDuration())) HandleManagerEvent(std::move(*event));
  DropLostLease();
  if (keeper_ != nullptr) membership_->SetCopies(keeper_->Reports(), keeper_->changes());
  if (absl::Status status = membership_->Step(); !status.ok()) return status;
  DropLostLease();  // a renewal that arrived may have been under way for longer than the lease still was good
  lease_valid_until_ns_ = absl::ToInt64Nanoseconds(membership_->lease_valid_until());
  if (absl::Status status = ServeQueries(); !status.ok())
    LogWarning("cannot take questions", {{"why", status}});
  Reconcile();
  handler_pools_->Reap();
  LookForStrayState();
  return absl::OkStatus();
}

void WorkerRuntime::HandleManagerEvent(ManagerEvent event) {
  if (auto* opened = std::get_if<Opened>(&event)) {
    HandleOpened(std::move(*opened));
  } else if (auto* gone = std::get_if<Gone>(&event)) {
    HandleGone(*gone);
  } else if (auto* question = std::get_if<Question>(&event)) {
    RouteQuery(*question);
  } else {
    RemoveStrayState(std::get<Strays>(event));
  }
}

void WorkerRuntime::DropLostLease() {
  if (lease_valid_until_ns_ == 0 || MayAct()) return;
  LogWarning("the lease ran out: dropping every partition and joining anew", {{"worker", options_.name}});
  lease_valid_until_ns_ = 0;
  for (auto& [key, hosted] : hosted_) Release(hosted, /*abandon=*/true);
  membership_->BecomeNewIncarnation();
}

void WorkerRuntime::ShutDown() {
  shutting_down_ = true;
  if (pull_loop_ == nullptr) return;
  membership_->BeginLeaving();
  for (auto& [key, hosted] : hosted_) Release(hosted, /*abandon=*/false);
  const absl::Duration deadline = ends_by_.value_or(clock_.Monotonic() + options_.drain_timeout);
  const auto all_gone = [this] {
    return std::all_of(hosted_.begin(), hosted_.end(),
                       [](const auto& entry) { return entry.second.phase == Hosted::Phase::kStopped; });
  };
  if (checkpointer_ != nullptr) {
    checkpointer_->BeginStop();
    keeper_->BeginStop();
  }
  while (!all_gone() && clock_.Monotonic() < deadline) {
    if (auto event = inbox_.Receive(kTurnWait)) HandleManagerEvent(std::move(*event));
    static_cast<void>(membership_->Step());  // the last commits need a lease that is good
    lease_valid_until_ns_ = absl::ToInt64Nanoseconds(membership_->lease_valid_until());
  }
  membership_->Leave();
  if (!all_gone()) {
    // User code or the broker may hold a lane or an opener up for longer than anybody wants to wait.
    LogWarning("not every partition was released in time: ending as a crash would, which loses nothing",
               {{"after", absl::FormatDuration(options_.drain_timeout)}});
    options_.end_process(kExitDone);
  }
  static_cast<void>(StopServing());  // waits for a question that is just coming in
  pull_loop_->Stop();
  for (const auto& lane : lanes_) lane->Join();
  handler_pools_.reset();
  for (const auto& opener : openers_) opener->Join();
  recorder_->Join();
  committer_->Join();
  if (checkpointer_ != nullptr) StopStoreUsers(deadline);
  watchdog_->Stop();  // last: as long as a lane lives, user code may run on it
  lanes_.clear();     // closes the databases, which no task uses any more
}

// A store that does not answer may hold a file up for minutes.
void WorkerRuntime::StopStoreUsers(absl::Duration deadline) {
  const auto idle = [this] { return checkpointer_->idle() && keeper_->idle(); };
  while (!idle() && clock_.Monotonic() < deadline) clock_.Sleep(kTurnWait);
  if (!idle()) {
    LogWarning("the checkpoint store did not answer in time; the checkpoints that are stored stand");
    options_.end_process(kExitDone);
  }
  checkpointer_->Stop();
  keeper_->Stop();
}

}  // namespace millrace
