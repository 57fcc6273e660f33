#include "worker/lane/lane.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/strings.h"
#include "worker/lane/state_query.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

constexpr size_t kWarmUpRowsATurn = 2'000;

// A disk may have room again, and the broker come back. A stream that is gone or is not what it was stays so.
bool MayPass(const absl::Status& trouble) {
  return !trouble.ok() && !absl::IsDataLoss(trouble) && !absl::IsNotFound(trouble);
}

}  // namespace

// A partition with what ties it to its lane: its ports, its slot at the watchdog.
struct Lane::Hosted : public PartitionPorts {
  Hosted(Lane& l, uint64_t i) : lane(l), instance(i) {}

  ReaderId OpenReader(const ReaderOptions& options) override {
    const ReaderId reader = lane.ports_.OpenReader(lane.number_, options);
    lane.by_reader_[reader] = this;
    return reader;
  }
  void CloseReader(ReaderId reader) override {
    lane.by_reader_.erase(reader);
    lane.ports_.CloseReader(reader);
  }
  void WriteCommit(StateStore& store, std::unique_ptr<FrozenCommit> commit) override {
    lane.ports_.WriteCommit(lane.number_, instance, store, std::move(commit));
  }
  void LinkCheckpoint(StateStore& store, bool trims_log) override {
    lane.ports_.LinkCheckpoint(lane.number_, instance, {partition->key(), partition->epoch(), trims_log},
                               store);
  }
  void ReadResultTail(const LogTail& tail) override {
    lane.ports_.ReadResultTail(lane.number_, instance, partition->key(), tail);
  }
  void LookForLaterOwner(Epoch epoch) override {
    lane.ports_.LookForLaterOwner(lane.number_, instance, partition->key(), epoch);
  }
  std::unique_ptr<StageHandlers> UseHandlers(const HandlerStage& stage) override {
    return lane.ports_.UseHandlers(instance, stage);
  }
  void WriteVerdicts(const LogTail& tail, std::vector<Verdict> verdicts) override {
    lane.ports_.WriteVerdicts(lane.number_, instance, partition->key(), partition->epoch(), tail,
                              std::move(verdicts));
  }
  void ReadAnswers(AnswerReading reading) override {
    lane.ports_.ReadAnswers(lane.number_, instance, partition->key(), std::move(reading));
  }
  size_t PartitionsOnLane() const override { return lane.partitions_.size(); }
  bool MayAct() const override { return lane.ports_.MayAct(); }
  void ShowProgress(Offset applied, Offset committed) override {
    if (slot != nullptr) slot->SetProgress(applied, committed);
  }

  Lane& lane;
  const uint64_t instance;
  bool awake = false;                    // in lane.awake_
  absl::Duration busy;                   // in turns of its own
  absl::Status trouble;                  // why it is given up, when it stopped by itself
  std::unique_ptr<Watchdog::Slot> slot;  // outlives the partition, whose stages call it
  std::unique_ptr<Partition> partition;
};

Lane::Lane(uint32_t number, LanePorts& ports, Bus& bus, Clock& clock, ReportBoard& board, Watchdog& watchdog)
    : number_(number), ports_(ports), bus_(bus), clock_(clock), board_(board), watchdog_(watchdog) {}

// A partition closes its reader when it goes, and is still known by it then.
Lane::~Lane() { partitions_.clear(); }

template <typename Tell>
void Lane::With(uint64_t instance, Tell tell) {
  const auto it = partitions_.find(instance);
  if (it == partitions_.end()) return;
  tell(*it->second->partition);
  Wake(*it->second);
  Settle(*it->second);
}

template <typename Tell>
void Lane::WithAll(Tell tell) {
  for (auto it = partitions_.begin(); it != partitions_.end();) {
    Hosted& hosted = *(it++)->second;  // which may go
    tell(*hosted.partition);
    Wake(hosted);
    Settle(hosted);
  }
}

void Lane::Wake(Hosted& hosted) {
  if (!std::exchange(hosted.awake, true)) awake_.push_back(hosted.instance);
}

void Lane::Handle(LaneEvent event) {
  if (auto* adopt = std::get_if<AdoptPartition>(&event)) {
    Adopt(std::move(*adopt));
  } else if (auto* bus = std::get_if<BusEvents>(&event)) {
    for (BusEvent& e : bus->events) HandleBus(std::move(e));
  } else if (auto* written = std::get_if<CommitWritten>(&event)) {
    With(written->instance, [&](Partition& p) { p.HandleCommitted(written->status, written->took); });
  } else if (auto* linked = std::get_if<CheckpointLinked>(&event)) {
    With(linked->instance, [&](Partition& p) { p.HandleCheckpointLinked(linked->status); });
  } else if (auto* stored = std::get_if<CheckpointStored>(&event)) {
    With(stored->instance, [&](Partition& p) { p.HandleCheckpointStored(stored->stored, stored->took); });
  } else if (auto* tail = std::get_if<TailRead>(&event)) {
    With(tail->instance, [&](Partition& p) { p.HandleTail(tail->tail); });
  } else if (auto* sought = std::get_if<LaterOwnerSought>(&event)) {
    With(sought->instance, [&](Partition& p) { p.HandleLaterOwner(sought->exists); });
  } else if (auto* code = std::get_if<CodeKnown>(&event)) {
    With(code->instance, [&](Partition& p) { p.HandleVersions(std::move(code->versions)); });
  } else if (auto* answered = std::get_if<CallsAnswered>(&event)) {
    With(answered->instance, [&](Partition& p) { p.HandleAnswers(std::move(answered->answers)); });
  } else if (auto* verdicts = std::get_if<VerdictsWritten>(&event)) {
    TakeVerdicts(std::move(*verdicts));
  } else if (auto* recorded = std::get_if<RecordedAnswersRead>(&event)) {
    With(recorded->instance, [&](Partition& p) { p.HandleAnswersRead(std::move(recorded->read)); });
  } else if (auto* pause = std::get_if<PausePartition>(&event)) {
    With(pause->instance, [&](Partition& p) { p.SetPaused(pause->paused); });
  } else if (auto* move = std::get_if<MovePartition>(&event)) {
    With(move->instance, [&](Partition& p) { p.SetMoves(move->moves); });
  } else if (auto* release = std::get_if<ReleasePartition>(&event)) {
    With(release->instance,
         [&](Partition& p) { release->abandon ? p.Supersede("the lease is gone") : p.BeginRelease(); });
  } else if (auto* query = std::get_if<StateQuery>(&event)) {
    Answer(*query);
  } else if (auto* budget = std::get_if<SetStateBudget>(&event)) {
    WithAll([&](Partition& p) { p.SetStateBudget(budget->bytes); });
  }
}

// The watchdog's next verdict stands behind these.
void Lane::TakeVerdicts(VerdictsWritten event) {
  const auto it = partitions_.find(event.instance);
  if (it == partitions_.end()) return;
  if (it->second->slot != nullptr) it->second->slot->SetVerdictTail(event.written.tail);
  With(event.instance, [&](Partition& p) { p.HandleVerdicts(std::move(event.written)); });
}

void Lane::Adopt(AdoptPartition event) {
  auto hosted = std::make_unique<Hosted>(*this, event.instance);
  const PartitionKey key = event.opened->key;
  PartitionOptions options;
  options.instance = event.instance;
  options.checkpoint_interval = event.checkpoint_interval;
  options.metrics = event.metrics;
  if (event.opened->gives_verdicts) {
    hosted->slot = std::make_unique<Watchdog::Slot>(watchdog_, event.instance, key, event.opened->epoch,
                                                    event.opened->verdict_tail, event.opened->low_mark);
    options.observer = hosted->slot.get();
  }
  absl::StatusOr<std::unique_ptr<Partition>> partition =
      Partition::Create(std::move(event.opened), *hosted, bus_, clock_, options);
  if (!partition.ok()) {
    LogError("partition cannot run", {{"partition", key.ToString()}, {"why", partition.status()}});
    ports_.Released(event.instance, partition.status());
    return;
  }
  hosted->partition = *std::move(partition);
  hosted->partition->SetPaused(event.paused);
  hosted->partition->SetStateBudget(event.state_budget_bytes);
  PublishReport(*hosted);
  Wake(*hosted);
  warming_.push_back(event.instance);
  partitions_[event.instance] = std::move(hosted);
}

void Lane::HandleBus(BusEvent event) {
  switch (event.type) {
    case BusEvent::Type::kMessage:
      if (const auto it = by_reader_.find(event.reader); it != by_reader_.end()) {
        it->second->partition->HandleMessage(std::move(event.message));
        Wake(*it->second);
      }
      return;
    case BusEvent::Type::kReaderError:
      if (const auto it = by_reader_.find(event.reader); it != by_reader_.end()) {
        const uint64_t instance = it->second->instance;
        by_reader_.erase(it);
        With(instance, [&](Partition& p) { p.HandleReaderError(event.status); });
      }
      return;
    case BusEvent::Type::kAppended:
      With(CookieInstance(event.cookie),
           [&](Partition& p) { p.HandleAppended(event.cookie, event.status, event.sequence); });
      return;
    case BusEvent::Type::kReconnected:
      WithAll([](Partition& p) { p.HandleReconnected(); });
      return;
    case BusEvent::Type::kDisconnected:
      return;
  }
}

bool Lane::Work() {
  turn_.clear();
  turn_.swap(awake_);
  absl::Duration began = clock_.Monotonic();
  for (const uint64_t instance : turn_) {
    const auto it = partitions_.find(instance);
    if (it == partitions_.end()) continue;
    Hosted& hosted = *it->second;
    hosted.awake = false;
    if (hosted.partition->Work()) Wake(hosted);
    const absl::Duration ended = clock_.Monotonic();
    hosted.busy += ended - began;
    began = ended;
    Settle(hosted);
  }
  const bool warms = awake_.empty() && WarmUp();
  bus_.Flush();
  if (clock_.Monotonic() - ticked_at_ >= TickInterval()) Tick();
  return warms || !awake_.empty();
}

// While nothing else is to be done: a little of each, until there is no more.
bool Lane::WarmUp() {
  std::erase_if(warming_, [this](uint64_t instance) {
    const auto it = partitions_.find(instance);
    if (it == partitions_.end()) return true;
    const bool more = it->second->partition->WarmUp(kWarmUpRowsATurn);
    if (!more) Wake(*it->second);  // it may have stopped
    return !more;
  });
  return !warming_.empty();
}

absl::Duration Lane::TickInterval() const {
  return std::max(kLaneTickInterval, kTickTimeAPartition * static_cast<int64_t>(partitions_.size()));
}

// What waits for the time alone has a turn behind each tick.
void Lane::Tick() {
  ticked_at_ = clock_.Monotonic();
  for (auto it = partitions_.begin(); it != partitions_.end();) {
    Hosted& hosted = *(it++)->second;  // which may go
    hosted.partition->Tick();
    PublishReport(hosted);
    Wake(hosted);
    Settle(hosted);
  }
}

void Lane::PublishReport(Hosted& hosted) {
  if (!hosted.trouble.ok()) return;  // the last report, which says why, stands
  PartitionReport report = hosted.partition->Report();
  report.busy_us = static_cast<uint64_t>(absl::ToInt64Microseconds(hosted.busy));
  board_.Put(hosted.instance, std::move(report));
}

void Lane::Settle(Hosted& hosted) {
  if (const absl::Status& cause = hosted.partition->stop_cause(); hosted.trouble.ok() && MayPass(cause)) {
    PublishReport(hosted);
    hosted.trouble = cause;
    hosted.partition->Abandon(ToStd(cause.message()));
  }
  if (!hosted.partition->released()) return;
  const uint64_t instance = hosted.instance;
  const absl::Status trouble = hosted.trouble;
  partitions_.erase(instance);  // closes the database
  if (trouble.ok()) board_.Remove(instance);
  ports_.Released(instance, trouble);
}

void Lane::Answer(const StateQuery& query) {
  const auto it = partitions_.find(query.instance);
  if (it == partitions_.end()) {
    query.answer(RefuseStateQuery(absl::UnavailableError("the partition has just moved: ask again")));
    return;
  }
  query.answer(AnswerStateQuery(*it->second->partition, query.request));
}

}  // namespace millrace
