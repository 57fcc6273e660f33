#include "worker/runtime/worker_runtime.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/broker_limits.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "worker/lane/state_query.h"

namespace millrace {
namespace {

constexpr absl::Duration kTurnWait = absl::Milliseconds(20);
constexpr size_t kMaxManagerEvents = 1024;
constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kMaxRetry = absl::Seconds(5);
constexpr absl::Duration kProvenAfter = absl::Seconds(30);  // having run so long, failures are forgotten
constexpr absl::Duration kStrayInterval = absl::Seconds(10);
constexpr size_t kExpectedPartitions = 16;  // before the first assignment

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

absl::Duration RetryAfter(int failures) {
  return std::min(kMaxRetry, kFirstRetry * (int64_t{1} << std::min(failures, 10)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerRuntime>> WorkerRuntime::Create(const WorkerOptions& options,
                                                                     const Connect& connect, Clock& clock) {
  auto runtime = absl::WrapUnique(new WorkerRuntime(options, clock));
  if (absl::Status status = runtime->Start(connect); !status.ok()) return status;
  return runtime;
}

WorkerRuntime::WorkerRuntime(const WorkerOptions& options, Clock& clock)
    : options_(options), clock_(clock), memory_plan_(PlanMemory(options.memory_bytes, kExpectedPartitions)) {}

WorkerRuntime::~WorkerRuntime() {
  if (!shutting_down_) ShutDown();
}

absl::Status WorkerRuntime::Start(const Connect& connect) {
  absl::StatusOr<std::unique_ptr<DataDir>> data_dir = DataDir::Open(options_.data_dir);
  if (!data_dir.ok()) return data_dir.status();
  data_dir_ = *std::move(data_dir);
  db_resources_ = options_.make_db_resources(memory_plan_.db);

  for (auto& [bus, purpose] : {std::pair(&data_bus_, "data"), std::pair(&manager_bus_, "manager"),
                               std::pair(&watchdog_bus_, "watchdog")}) {
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
  membership.seed = options_.seed;
  membership_ = std::make_unique<Membership>(*manager_bus_, clock_, board_, membership);

  watchdog_ = std::make_unique<Watchdog>(
      *watchdog_bus_, clock_, [this] { options_.end_process(kExitOverrun); }, *options_.threads);
  watchdog_->Start();
  pull_loop_ = std::make_unique<PullLoop>(*data_bus_, options_.lanes, [this](uint32_t lane, LaneEvent event) {
    lanes_[lane]->Send(std::move(event));
  });
  for (uint32_t i = 0; i < options_.lanes; ++i) {
    lanes_.push_back(std::make_unique<LaneThread>(
        std::make_unique<Lane>(i, static_cast<LanePorts&>(*this), *data_bus_, clock_, board_, *watchdog_),
        *options_.threads));
  }
  committer_ = std::make_unique<TaskThread>(*options_.threads);
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
  Metrics& metrics = options_.metrics != nullptr ? *options_.metrics : no_metrics_;
  checkpointer_ = std::make_unique<Checkpointer>(*std::move(store), *checkpoint_bus_, clock_, options,
                                                 MakeCheckpointMetrics(metrics));
  return absl::OkStatus();
}

absl::Status WorkerRuntime::Run(const std::function<bool()>& stop) {
  absl::Status status;
  while (status.ok() && !stop()) status = Turn();
  ShutDown();
  return status;
}

absl::Status WorkerRuntime::Turn() {
  std::vector<BusEvent> events;
  manager_bus_->Poll(kTurnWait, kMaxManagerEvents, &events);
  for (const BusEvent& event : events) membership_->Handle(event);
  while (auto event = inbox_.Receive(absl::ZeroDuration())) HandleManagerEvent(std::move(*event));
  DropLostLease();
  if (absl::Status status = membership_->Step(); !status.ok()) return status;
  DropLostLease();  // a renewal that arrived may have been under way for longer than the lease still was good
  lease_valid_until_ns_ = absl::ToInt64Nanoseconds(membership_->lease_valid_until());
  if (absl::Status status = ServeQueries(); !status.ok())
    LogWarning("cannot take questions", {{"why", status}});
  Reconcile();
  LookForStrayState();
  return absl::OkStatus();
}

// --- called by lanes and openers

bool WorkerRuntime::MayAct() const {
  return absl::ToInt64Nanoseconds(clock_.Monotonic()) < lease_valid_until_ns_;
}

void WorkerRuntime::WriteCommit(uint32_t lane, uint64_t instance, StateStore& store,
                                std::unique_ptr<FrozenCommit> commit) {
  // The partition, and with it the store, outlives the commit: it is not released while one is under way.
  committer_->Submit(
      [this, lane, instance, &store, commit = std::shared_ptr<FrozenCommit>(std::move(commit))] {
        const absl::Duration began = clock_.Monotonic();
        absl::Status status = commit->Write(store.db());
        lanes_[lane]->Send(CommitWritten{instance, std::move(status), clock_.Monotonic() - began});
      });
}

// Linked where commits are written: what is linked is the last commit, whole.
void WorkerRuntime::LinkCheckpoint(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                   Epoch epoch, StateStore& store) {
  committer_->Submit([this, lane, instance, partition, epoch, &store] {
    absl::StatusOr<LinkedCheckpoint> linked = LinkCommit(*data_dir_, partition, epoch, store.db());
    lanes_[lane]->Send(CheckpointLinked{instance, linked.status()});
    if (!linked.ok()) {
      LogWarning("a checkpoint was not made; the one before stands",
                 {{"partition", partition.ToString()}, {"why", linked.status()}});
      return;
    }
    checkpointer_->Submit(*std::move(linked), [this, lane, instance](Checkpointer::Outcome outcome) {
      lanes_[lane]->Send(CheckpointStored{instance, std::move(outcome.stored), outcome.took});
    });
  });
}

void WorkerRuntime::ReadResultTail(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                   const LogTail& tail) {
  const size_t i = instance / kMaxLanes % openers_.size();
  openers_[i]->Submit([this, i, lane, instance, partition, tail] {
    absl::StatusOr<LogTail> read = ReadLogTail(
        *opener_buses_[i], clock_, {partition.result_stream(), tail.last_sequence + 1}, tail.cursors);
    lanes_[lane]->Send(TailRead{instance, std::move(read)});
  });
}

void WorkerRuntime::LookForLaterOwner(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                      Epoch epoch) {
  const size_t i = instance / kMaxLanes % openers_.size();
  std::string later = EpochKey(partition.uid, partition.writer(), epoch.Next());
  openers_[i]->Submit([this, i, lane, instance, key = std::move(later)] {
    const absl::Status there = opener_buses_[i]->GetKey(kEpochsBucket, key).status();
    absl::StatusOr<bool> exists = there.ok();
    if (!there.ok() && !absl::IsNotFound(there)) exists = there;
    lanes_[lane]->Send(LaterOwnerSought{instance, std::move(exists)});
  });
}

void WorkerRuntime::Released(uint64_t instance, const absl::Status& why) {
  inbox_.Send(Gone{instance, why});
  manager_bus_->Wake();
}

// --- the manager

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

void WorkerRuntime::HandleOpened(Opened opened) {
  const auto it = hosted_.find(opened.key);
  if (it == hosted_.end() || it->second.instance != opened.instance) return;
  Hosted& hosted = it->second;
  if (opened.result.ok() && !hosted.abandon && !shutting_down_) {
    LogInfo("partition opened", {{"partition", opened.key.ToString()},
                                 {"epoch", (*opened.result)->epoch.value()},
                                 {"offset", (*opened.result)->offset.value()}});
    hosted.phase = Hosted::Phase::kRunning;
    hosted.opened_at = clock_.Monotonic();
    lanes_[LaneOf(hosted.instance)]->Send(AdoptPartition{
        hosted.instance, *std::move(opened.result), hosted.paused, memory_plan_.partition_bytes,
        checkpointer_ != nullptr ? options_.checkpoint_interval : absl::InfiniteDuration()});
    return;
  }
  if (opened.result.ok() || hosted.abandon) {
    board_.Remove(hosted.instance);
    hosted_.erase(it);
    return;
  }
  const absl::Status& why = opened.result.status();
  // What the broker holds does not change by asking again; the rest may pass.
  const bool for_good = absl::IsDataLoss(why);
  ReportTrouble(opened.key, hosted, for_good ? "stopped" : "restoring", why);
  hosted.phase = Hosted::Phase::kStopped;
  hosted.retry_at = for_good ? absl::InfiniteDuration() : clock_.Monotonic() + RetryAfter(hosted.failures++);
}

void WorkerRuntime::ReportTrouble(const PartitionKey& key, const Hosted& hosted, std::string_view state,
                                  const absl::Status& why) {
  PartitionReport report = board_.Find(hosted.instance).value_or(PartitionReport());
  if (report.reason != why.message()) {
    // A submit makes the streams after the job's record: to come too early is no error.
    if (absl::IsUnavailable(why)) {
      LogInfo("partition cannot be opened yet", {{"partition", key.ToString()}, {"why", why}});
    } else {
      LogError("partition cannot be opened", {{"partition", key.ToString()}, {"why", why}});
    }
  }
  report.job = key.job;
  report.uid = key.uid;
  report.segment = key.segment.value();
  report.partition = key.partition.value();
  report.state = std::string(state);
  report.reason = std::string(why.message());
  board_.Put(hosted.instance, std::move(report));
}

void WorkerRuntime::HandleGone(const Gone& gone) {
  const auto it = std::find_if(hosted_.begin(), hosted_.end(),
                               [&](const auto& entry) { return entry.second.instance == gone.instance; });
  if (it == hosted_.end()) return;
  Hosted& hosted = it->second;
  if (hosted.phase != Hosted::Phase::kRunning) {
    board_.Remove(gone.instance);
    hosted_.erase(it);
    return;
  }
  // It let go by itself: a later owner is there, or its disk failed. Should it still be wanted here, then
  // after a while.
  const absl::Duration now = clock_.Monotonic();
  if (now - hosted.opened_at >= kProvenAfter) hosted.failures = 0;
  const absl::Duration wait = RetryAfter(++hosted.failures);
  if (!gone.why.ok()) {
    // One that its lane could not even begin with has said nothing yet.
    if (!board_.Find(gone.instance).has_value()) ReportTrouble(it->first, hosted, "stopped", gone.why);
    LogWarning("partition is opened again after a while",
               {{"partition", it->first.ToString()}, {"after", absl::FormatDuration(wait)}});
  }
  hosted.phase = Hosted::Phase::kStopped;
  hosted.retry_at = now + wait;
}

void WorkerRuntime::DropLostLease() {
  if (lease_valid_until_ns_ == 0 || MayAct()) return;
  LogWarning("the lease ran out: dropping every partition and joining anew", {{"worker", options_.name}});
  lease_valid_until_ns_ = 0;
  for (auto& [key, hosted] : hosted_) Release(hosted, /*abandon=*/true);
  membership_->BecomeNewIncarnation();
}

void WorkerRuntime::Release(Hosted& hosted, bool abandon) {
  switch (hosted.phase) {
    case Hosted::Phase::kOpening:
      hosted.abandon = true;
      if (hosted.unwanted != nullptr) *hosted.unwanted = true;
      break;
    case Hosted::Phase::kReleasing:
      if (!abandon) break;
      [[fallthrough]];
    case Hosted::Phase::kRunning:
      hosted.phase = Hosted::Phase::kReleasing;
      lanes_[LaneOf(hosted.instance)]->Send(ReleasePartition{hosted.instance, abandon});
      break;
    case Hosted::Phase::kStopped:
      break;
  }
}

void WorkerRuntime::Reconcile() {
  if (!MayAct()) return;
  if (const uint64_t revision = membership_->revision();
      revision != desired_revision_ && membership_->KnowsDesired()) {
    desired_ = membership_->Desired();
    desired_revision_ = revision;
  }
  for (auto it = hosted_.begin(); it != hosted_.end();) {
    Hosted& hosted = it->second;
    const auto wish = desired_.find(it->first);
    if (wish == desired_.end()) {
      Release(hosted, /*abandon=*/false);
      if (hosted.phase == Hosted::Phase::kStopped) {
        board_.Remove(hosted.instance);
        it = hosted_.erase(it);
        continue;
      }
    } else if (hosted.phase == Hosted::Phase::kStopped && clock_.Monotonic() >= hosted.retry_at) {
      StartOpening(it->first, wish->second);
    } else if (hosted.paused != wish->second.paused) {
      hosted.paused = wish->second.paused;
      lanes_[LaneOf(hosted.instance)]->Send(PausePartition{hosted.instance, hosted.paused});
    }
    ++it;
  }
  PlanStateBudgets();
  for (const auto& [key, wish] : desired_) {
    if (!hosted_.contains(key)) StartOpening(key, wish);
  }
}

// Before anything more is opened, so that all of it together stays within the memory. What is on its way out
// still has its share.
void WorkerRuntime::PlanStateBudgets() {
  const auto is_new = [this](const auto& wish) { return !hosted_.contains(wish.first); };
  const size_t partitions =
      hosted_.size() + static_cast<size_t>(std::count_if(desired_.begin(), desired_.end(), is_new));
  const uint64_t bytes = PlanMemory(options_.memory_bytes, partitions).partition_bytes;
  if (bytes == memory_plan_.partition_bytes) return;
  memory_plan_.partition_bytes = bytes;
  for (const auto& lane : lanes_) lane->Send(SetStateBudget{bytes});
}

uint32_t WorkerRuntime::EmptiestLane() const {
  std::vector<size_t> load(lanes_.size(), 0);
  for (const auto& [key, hosted] : hosted_) ++load[LaneOf(hosted.instance)];
  return static_cast<uint32_t>(std::min_element(load.begin(), load.end()) - load.begin());
}

void WorkerRuntime::StartOpening(const PartitionKey& key, const DesiredPartition& wish) {
  const uint32_t lane = EmptiestLane();
  Hosted& hosted = hosted_[key];
  const uint64_t before = std::exchange(hosted.instance, MakeInstance(++instances_, lane));
  board_.Move(before, hosted.instance);
  hosted.phase = Hosted::Phase::kOpening;
  hosted.paused = wish.paused;
  hosted.abandon = false;
  if (!wish.segment.ok()) {
    // Perhaps a later version's job. As long as it is this one's, it stays stopped, and says so.
    ReportTrouble(key, hosted, "stopped", wish.segment.status());
    hosted.phase = Hosted::Phase::kStopped;
    hosted.retry_at = clock_.Monotonic() + kMaxRetry;
    return;
  }
  OpenRequest request;
  request.key = key;
  request.segment = *wish.segment;
  request.claimer = StrCat(membership_->incarnation(), "/", hosted.instance);
  request.state_budget_bytes = memory_plan_.partition_bytes;
  hosted.unwanted = std::make_shared<std::atomic<bool>>(false);
  request.still_wanted = [unwanted = hosted.unwanted] { return !*unwanted; };
  if (checkpointer_ != nullptr) {
    request.checkpoints = &checkpointer_->store();
    request.restore_seconds = checkpointer_->metrics().restore_seconds;
  }
  request.failures = hosted.failures;
  const size_t i = instances_ % openers_.size();
  openers_[i]->Submit([this, i, request, instance = hosted.instance] {
    auto result = OpenPartition(*opener_buses_[i], clock_, *data_dir_, db_resources_, request);
    inbox_.Send(Opened{request.key, instance, std::move(result)});
    manager_bus_->Wake();
  });
}

absl::Status WorkerRuntime::ServeQueries() {
  if (served_incarnation_ == membership_->incarnation()) return absl::OkStatus();
  // Anybody may ask: who finds no place hears nothing, and asks again.
  const auto enqueue = [this](Bus::Incoming query) {
    Places::Place place = question_places_.Take();
    if (place == nullptr) return;
    inbox_.Send(Question{std::move(query), std::move(place)});
    manager_bus_->Wake();
  };
  if (absl::Status status = StopServing(); !status.ok()) return status;
  if (absl::Status status = manager_bus_->Serve(WorkerSubject(membership_->incarnation()), enqueue);
      !status.ok())
    return status;
  served_incarnation_ = membership_->incarnation();
  return absl::OkStatus();
}

absl::Status WorkerRuntime::StopServing() {
  const std::string incarnation = std::exchange(served_incarnation_, "");
  return incarnation.empty() ? absl::OkStatus() : manager_bus_->Serve(WorkerSubject(incarnation), nullptr);
}

void WorkerRuntime::RouteQuery(const Question& question) {
  const Bus::Incoming& query = question.query;
  const auto answer = [this, to = query.reply_to, place = question.place](const std::string& text) {
    if (absl::Status status = manager_bus_->Reply(to, text); !status.ok())
      LogWarning("an answer was not sent", {{"why", status}});
  };
  absl::StatusOr<StateQueryTarget> target = ParseStateQueryTarget(query.payload);
  if (!target.ok()) return answer(RefuseStateQuery(target.status()));
  for (const auto& [key, hosted] : hosted_) {
    if (key.uid != target->uid || key.segment != target->segment || key.partition != target->partition ||
        hosted.phase != Hosted::Phase::kRunning)
      continue;
    lanes_[LaneOf(hosted.instance)]->Send(StateQuery{hosted.instance, query.payload, answer});
    return;
  }
  answer(RefuseStateQuery(absl::UnavailableError("this worker does not own the partition now: ask again")));
}

// State of jobs that were deleted: nobody will ask for it again. An opener looks and removes, since a folder
// of gigabytes takes longer than a lease may wait.
void WorkerRuntime::LookForStrayState() {
  if (stray_check_under_way_ || clock_.Monotonic() - stray_checked_at_ < kStrayInterval) return;
  stray_check_under_way_ = true;
  openers_.front()->Submit([this] {
    inbox_.Send(Strays{data_dir_->List().value_or(std::vector<DataDir::Partition>())});
    manager_bus_->Wake();
  });
}

void WorkerRuntime::RemoveStrayState(const Strays& there) {
  stray_check_under_way_ = false;
  stray_checked_at_ = clock_.Monotonic();
  std::set<std::string> in_use;
  for (const auto& [key, hosted] : hosted_) in_use.insert(key.uid);
  for (const DataDir::Partition& partition : there.on_disk) {
    if (in_use.contains(partition.uid) || membership_->JobMayExist(partition.uid)) continue;
    LogInfo("removing the state of a job that was deleted",
            {{"uid", partition.uid}, {"partition", partition.partition.value()}});
    if (checkpointer_ != nullptr) checkpointer_->Forget(partition);
    openers_.front()->Submit([this, partition] {
      if (absl::Status status = data_dir_->Remove(partition); !status.ok())
        LogWarning("cannot remove state", {{"why", status}});
    });
  }
}

void WorkerRuntime::ShutDown() {
  shutting_down_ = true;
  if (pull_loop_ == nullptr) return;
  membership_->BeginLeaving();
  for (auto& [key, hosted] : hosted_) Release(hosted, /*abandon=*/false);
  const absl::Duration deadline = clock_.Monotonic() + options_.drain_timeout;
  const auto all_gone = [this] {
    return std::all_of(hosted_.begin(), hosted_.end(),
                       [](const auto& entry) { return entry.second.phase == Hosted::Phase::kStopped; });
  };
  if (checkpointer_ != nullptr) checkpointer_->BeginStop();
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
  for (const auto& opener : openers_) opener->Join();
  committer_->Join();
  if (checkpointer_ != nullptr) StopCheckpointer(deadline);
  watchdog_->Stop();  // last: as long as a lane lives, user code may run on it
  lanes_.clear();     // closes the databases, which no task uses any more
}

// A store that does not answer may hold a file up for minutes.
void WorkerRuntime::StopCheckpointer(absl::Duration deadline) {
  while (!checkpointer_->idle() && clock_.Monotonic() < deadline) clock_.Sleep(kTurnWait);
  if (!checkpointer_->idle()) {
    LogWarning("a checkpoint was not stored in time; the one before stands");
    _exit(kExitDone);
  }
  checkpointer_->Stop();
}

}  // namespace millrace
