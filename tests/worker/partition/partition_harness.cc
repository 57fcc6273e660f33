#include "tests/worker/partition/partition_harness.h"

#include <gtest/gtest.h>

#include <utility>

#include "common/names.h"
#include "common/strings.h"
#include "common/value/value.h"
#include "worker/partition/verdict_append.h"

namespace millrace {
namespace {

std::filesystem::path NewFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-partition-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  return pattern;
}

}  // namespace

JobSpec PartitionWorld::RunningTotal() {
  JobSpec spec;
  spec.name = "j";
  spec.key.paths = {"k"};
  spec.partitions = 1;
  spec.commit_interval = absl::Milliseconds(10);
  StageSpec stage;
  stage.what =
      AggregateStage{{{"n", AggregateFunction::kCount, ""}, {"sum", AggregateFunction::kSum, "v"}}, {}};
  stage.code.name = "aggregate";
  spec.stages = {stage};
  return spec;
}

JobSpec PartitionWorld::TwoSegments() {
  JobSpec spec = RunningTotal();
  spec.partitions = 2;
  StageSpec count, key_by, sum;
  count.what =
      AggregateStage{{{"n", AggregateFunction::kCount, ""}, {"g", AggregateFunction::kLast, "g"}}, {}};
  count.code.name = "count";
  KeySpec group;
  group.paths = {"g"};
  key_by.what = KeyByStage{group, 0};
  key_by.code.name = "key_by";
  sum.what =
      AggregateStage{{{"m", AggregateFunction::kCount, ""}, {"total", AggregateFunction::kSum, "n"}}, {}};
  sum.code.name = "sum";
  spec.stages = {count, key_by, sum};
  return spec;
}

PartitionWorld::PartitionWorld(const JobSpec& job)
    : folder(NewFolder()),
      db_resources(DbResources::Create({})),
      feeder(broker.Connect()),
      fed_(job.partitions) {
  for (SegmentSpec& segment : SegmentsOf(job)) {
    segments.push_back(std::make_shared<const SegmentSpec>(std::move(segment)));
    versions.push_back({segments.back()});
  }
  const auto create = [&](const std::string& name, const std::string& subject) {
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    config.description = StreamDescription(key.uid);
    EXPECT_TRUE(feeder->CreateStream(config).ok());
  };
  for (const auto& segment : segments) {
    for (uint32_t p = 0; p < segment->job.partitions; ++p) {
      const PartitionKey at = KeyOf(segment->id, p);
      create(at.input_stream(), at.input_subject());
      create(at.verdict_stream(), at.verdict_subject());
      if (segment->is_last()) create(at.result_stream(), at.result_subject());
    }
  }
  create(DeadLetterStream(key.job), DeadLetterSubjects(key.job));
  EXPECT_TRUE(feeder->CreateBucket(kEpochsBucket).ok());
}

PartitionWorld::~PartitionWorld() { std::filesystem::remove_all(folder); }

void PartitionWorld::Append(uint32_t partition, const MessageHeader& header, std::string_view payload) {
  const std::string text = FormatMessageHeader(header);
  const std::string subject = KeyOf(kFirstSegment, partition).input_subject();
  AppendRequest request;
  request.subject = subject;
  request.header = text;
  request.payload = payload;
  EXPECT_TRUE(feeder->AppendAndWait(request).ok());
}

void PartitionWorld::Feed(const std::vector<Record>& records, uint32_t partition, int64_t watermark_ms) {
  FrameBuilder frame;
  frame.SetWatermark(watermark_ms);
  const std::string_view fields[] = {"v", "g"};
  const uint32_t shape = frame.InternShape(fields);
  for (const Record& record : records) {
    std::string value;
    PackWriter writer(&value);
    writer.Int(record.value);
    writer.String(record.group);
    RecordView view;
    view.key = record.key;
    view.value = value;
    view.shape = shape;
    frame.Add(view);
  }
  Fed& fed = fed_[partition];
  const Mark prev = {fed.bytes, 0};
  fed.bytes += 10 * records.size();
  fed.records += records.size();
  Append(partition, {FrameKind::kData, key.uid, kIngestWriter, Epoch(1), prev, {fed.bytes, 0}, fed.records},
         frame.Finish());
}

void PartitionWorld::Update(const JobSpec& next) {
  for (SegmentSpec& segment : SegmentsOf(next)) {
    versions[segment.id.value()].push_back(std::make_shared<const SegmentSpec>(std::move(segment)));
  }
}

void PartitionWorld::FeedEnd() {
  for (uint32_t p = 0; p < fed_.size(); ++p) {
    FrameBuilder frame(FrameKind::kEnd);
    const Mark mark = {fed_[p].bytes, 0};
    Append(p, {FrameKind::kEnd, key.uid, kIngestWriter, Epoch(1), mark, mark, fed_[p].records},
           frame.Finish());
  }
}

void PartitionWorld::FeedStranger(const std::string& payload) {
  const std::string subject = key.input_subject();
  AppendRequest request;
  request.subject = subject;
  request.payload = payload;
  EXPECT_TRUE(feeder->AppendAndWait(request).ok());
}

WriterCursors PartitionWorld::ReadResults(uint32_t partition,
                                          const std::function<void(const Message&)>& taken) {
  const std::unique_ptr<MemoryBus> bus = broker.Connect();
  absl::StatusOr<LogTail> tail =
      ReadLogTail(*bus, clock, {KeyOf(segments.back()->id, partition).result_stream(), 1, false},
                  WriterCursors(key.uid), [&](const Message& message, const MessageHeader& header) {
                    if (header.kind == FrameKind::kResults) taken(message);
                    return absl::OkStatus();
                  });
  EXPECT_TRUE(tail.ok()) << tail.status();
  return tail->cursors;
}

std::vector<Output> PartitionWorld::Results(uint32_t partition) {
  std::vector<Output> outputs;
  ReadResults(partition, [&](const Message& message) {
    absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
    ASSERT_TRUE(frame.ok()) << frame.status();
    FrameView::Cursor records = frame->records();
    RecordView record;
    while (records.Next(&record)) {
      Output output;
      output.key = std::string(record.key);
      EXPECT_TRUE(AppendJson(ValueView::Of(record), &output.value_json).ok());
      output.offset = record.offset.value();
      output.index = record.index;
      outputs.push_back(std::move(output));
    }
    EXPECT_TRUE(records.status().ok()) << records.status();
  });
  return outputs;
}

bool PartitionWorld::ResultsEnded() {
  return ReadResults(0, [](const Message&) {}).Get(key.writer()).ended;
}

uint64_t PartitionWorld::ResultMessages() { return feeder->GetStream(key.result_stream())->last_sequence; }

PartitionOwner::PartitionOwner(PartitionWorld& world, const std::string& data, int failures)
    : PartitionOwner(world, data, world.key, failures) {}

PartitionOwner::PartitionOwner(PartitionWorld& world, const std::string& data, const PartitionKey& key,
                               int failures)
    : world_(world), key_(key), bus_(world.broker.Connect()), opener_bus_(world.broker.Connect()) {
  absl::StatusOr<std::unique_ptr<DataDir>> data_dir = DataDir::Open((world.folder / data).string());
  EXPECT_TRUE(data_dir.ok()) << data_dir.status();
  data_dir_ = *std::move(data_dir);
  OpenRequest request;
  request.key = key;
  request.versions = world.versions[key.segment.value()];
  static int claims = 0;
  request.claimer = StrCat("owner-", ++claims);
  checkpoints_ = world.checkpoints.Open();
  if (world.checkpoint_interval != absl::InfiniteDuration()) request.checkpoints = checkpoints_.get();
  request.failures = failures;
  request.max_answer_bytes = world.max_answer_bytes;
  request.load_code = world.load_code;
  absl::StatusOr<std::unique_ptr<OpenedPartition>> opened =
      OpenPartition(*opener_bus_, world.clock, *data_dir_, world.db_resources, request);
  opened_ = opened.status();
  if (!opened.ok()) return;
  CheckpointSeries::Options series;
  series.stopping = [] { return false; };
  series_ = std::make_unique<CheckpointSeries>(*checkpoints_, world.clock, key, (*opened)->epoch, series);
  if (request.segment().job.retain == Retain::kResults) {
    trimmer_ =
        std::make_unique<LogTrimmer>(*opener_bus_, *checkpoints_, key, size_t{kDefaultKeptCheckpoints});
  }
  PartitionOptions options;
  options.checkpoint_interval = world.checkpoint_interval;
  options.metrics = MakePartitionMetrics(world.metrics, key, world.fenced);
  absl::StatusOr<std::unique_ptr<Partition>> partition =
      Partition::Create(*std::move(opened), *this, *bus_, world.clock, options);
  opened_ = partition.status();
  if (partition.ok()) partition_ = *std::move(partition);
}

PartitionOwner::~PartitionOwner() = default;

void PartitionOwner::WriteCommit(StateStore& store, std::unique_ptr<FrozenCommit> commit) {
  store_ = &store;
  commit_ = std::move(commit);
}

bool PartitionOwner::DeliverOne() {
  if (events_.empty()) {
    std::vector<BusEvent> polled;
    bus_->Poll(absl::ZeroDuration(), 16, &polled);
    events_.insert(events_.end(), std::make_move_iterator(polled.begin()),
                   std::make_move_iterator(polled.end()));
  }
  if (events_.empty()) return false;
  BusEvent event = std::move(events_.front());
  events_.pop_front();
  switch (event.type) {
    case BusEvent::Type::kMessage:
      if (event.reader == partition_->reader()) partition_->HandleMessage(std::move(event.message));
      break;
    case BusEvent::Type::kReaderError:
      partition_->HandleReaderError(event.status);
      break;
    case BusEvent::Type::kAppended:
      partition_->HandleAppended(event.cookie, event.status, event.sequence);
      break;
    case BusEvent::Type::kReconnected:
      partition_->HandleReconnected();
      break;
    case BusEvent::Type::kDisconnected:
      break;
  }
  return true;
}

bool PartitionOwner::WriteCommit() {
  if (commit_ == nullptr) return false;
  commit_answer_ = commit_->Write(store_->db());
  commit_.reset();
  return true;
}

bool PartitionOwner::AnswerCommit() {
  if (!commit_answer_.has_value()) return false;
  partition_->HandleCommitted(*std::exchange(commit_answer_, std::nullopt), absl::Microseconds(10));
  return true;
}

bool PartitionOwner::LinkCheckpoint() {
  if (link_wanted_ == nullptr || commit_answer_.has_value() || linked_.has_value()) return false;
  absl::StatusOr<LinkedCheckpoint> linked =
      LinkCommit(*data_dir_, key_, partition_->epoch(), std::exchange(link_wanted_, nullptr)->db());
  EXPECT_TRUE(linked.ok()) << linked.status();
  linked_ = *std::move(linked);
  partition_->HandleCheckpointLinked(absl::OkStatus());
  return true;
}

bool PartitionOwner::StoreCheckpoint() {
  if (!linked_.has_value()) return false;
  const LinkedCheckpoint linked = *std::exchange(linked_, std::nullopt);
  const absl::StatusOr<CheckpointSeries::Stored> stored = series_->Store(linked);
  if (stored.ok()) {
    const auto kept = series_->Collect([&]() -> absl::StatusOr<bool> {
      const absl::StatusOr<bool> later = HasLaterOwner(linked.epoch);
      if (!later.ok()) return later;
      return !*later;
    });
    // The store may be away.
    if (kept.ok() && trimmer_ != nullptr) {
      EXPECT_EQ(trimmer_->Trim(*kept), absl::OkStatus());
    }
    partition_->HandleCheckpointStored(stored->id.offset, absl::Microseconds(10));
  } else {
    partition_->HandleCheckpointStored(stored.status(), absl::Microseconds(10));
  }
  return true;
}

bool PartitionOwner::ReadTail() {
  if (!tail_wanted_.has_value()) return false;
  const LogTail from = *std::exchange(tail_wanted_, std::nullopt);
  partition_->HandleTail(
      ReadLogTail(*opener_bus_, world_.clock, {key_.result_stream(), from.last_sequence + 1}, from.cursors));
  return true;
}

bool PartitionOwner::SeekOwner() {
  if (!sought_behind_.has_value()) return false;
  partition_->HandleLaterOwner(HasLaterOwner(*std::exchange(sought_behind_, std::nullopt)));
  return true;
}

bool PartitionOwner::WriteVerdicts() {
  if (!verdicts_wanted_.has_value()) return false;
  auto [tail, verdicts] = *std::exchange(verdicts_wanted_, std::nullopt);
  WrittenVerdicts written;
  written.tail = std::move(tail);
  written.status = AppendVerdicts(*opener_bus_, world_.clock, key_, partition_->epoch(), verdicts,
                                  &written.tail, &written.written);
  partition_->HandleVerdicts(std::move(written));
  return true;
}

bool PartitionOwner::ReadAnswers() {
  if (!answers_wanted_.has_value()) return false;
  const AnswerReading reading = *std::exchange(answers_wanted_, std::nullopt);
  partition_->HandleAnswersRead(millrace::ReadAnswers(*opener_bus_, world_.clock, key_, reading));
  return true;
}

// Asks the owner's one pool, for as long as the partition holds it.
class PooledStage : public StageHandlers {
 public:
  explicit PooledStage(HandlerPool& pool) : pool_(pool) {}
  void Ask(std::vector<HandlerCall> calls) override {
    for (HandlerCall& call : calls) pool_.Add(std::move(call));
  }
  std::string waits_for() const override { return pool_.handlers() == 0 ? "waits for a handler" : ""; }

 private:
  HandlerPool& pool_;
};

// Keeps what is asked until the service gets round to it.
class ServiceStage : public StageHandlers {
 public:
  explicit ServiceStage(std::deque<HandlerCall>& asked) : asked_(asked) {}
  void Ask(std::vector<HandlerCall> calls) override {
    for (HandlerCall& call : calls) asked_.push_back(std::move(call));
  }
  std::string waits_for() const override { return ""; }

 private:
  std::deque<HandlerCall>& asked_;
};

std::unique_ptr<StageHandlers> PartitionOwner::UseHandlers(const HandlerStage& stage) {
  if (stage.http != nullptr) return std::make_unique<ServiceStage>(service_calls_);
  static int lives = 0;
  handlers_ = std::make_unique<FakeHandlers>(world_.handlers, world_.clock);
  lua_pool_ = stage.is_ours() ? std::make_unique<LuaPool>(stage) : nullptr;
  HandlerLink& link = lua_pool_ == nullptr ? static_cast<HandlerLink&>(*handlers_) : *lua_pool_;
  pool_ = std::make_unique<HandlerPool>(HandlerPool::Options{stage, "w", StrCat("life-", ++lives)}, link,
                                        world_.clock);
  return std::make_unique<PooledStage>(*pool_);
}

bool PartitionOwner::RunHandlers() {
  if (!service_calls_.empty() && partition_ != nullptr) {
    const HandlerCall call = std::move(service_calls_.front());
    service_calls_.pop_front();
    CallAnswer answer{call.asker, call.serial,
                      OutcomeOfHttpAnswer(world_.service(*UnpackHttpRequest(call.packed)))};
    partition_->HandleAnswers({std::move(answer)});
    return true;
  }
  if (pool_ == nullptr || partition_ == nullptr) return false;
  const bool did = lua_pool_ == nullptr ? handlers_->Run(*pool_) : lua_pool_->Run(*pool_);
  pool_->Work();
  std::vector<CallAnswer> answers = pool_->TakeAnswers();
  if (!answers.empty()) partition_->HandleAnswers(std::move(answers));
  return did;
}

absl::StatusOr<bool> PartitionOwner::HasLaterOwner(Epoch epoch) {
  const absl::Status there =
      opener_bus_->GetKey(kEpochsBucket, EpochKey(key_.uid, key_.writer(), epoch.Next())).status();
  if (!there.ok() && !absl::IsNotFound(there)) return there;
  return there.ok() && sees_later_owners;
}

void PartitionOwner::Tick() {
  world_.clock.Advance(absl::Milliseconds(5));
  partition_->Tick();
}

void PartitionOwner::Step(std::mt19937_64& random) {
  switch (random() % 10) {
    case 0:
    case 1:
    case 2:
      DeliverOne();
      break;
    case 3:
    case 4:
      Work();
      break;
    case 5:
      if (!WriteCommit() && !AnswerCommit() && !LinkCheckpoint()) StoreCheckpoint();
      break;
    case 6:
      if (!ReadTail() && !SeekOwner() && !ReadAnswers()) WriteVerdicts();
      break;
    case 7:
      Tick();
      break;
    default:
      RunHandlers();
      break;
  }
  partition_->CheckInvariants();
}

bool PartitionOwner::RunToEnd(std::mt19937_64& random, int steps) {
  for (int i = 0; i < steps; ++i) {
    Step(random);
    if (partition_->Report().state == "completed") return true;
  }
  return false;
}

}  // namespace millrace
