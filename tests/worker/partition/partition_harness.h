// A partition at work on a broker in memory, one event at a time: the test decides what happens when, and
// where it dies.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/handler/call_request.h"
#include "common/job/job_spec.h"
#include "common/metrics.h"
#include "tests/support/fake_handlers.h"
#include "tests/support/lua_pool.h"
#include "tests/support/memory_blob_store.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "worker/checkpoint/checkpoint_series.h"
#include "worker/checkpoint/log_trimmer.h"
#include "worker/partition/partition.h"

namespace millrace {

struct Output {
  std::string key;
  std::string value_json;
  uint64_t offset = 0;
  uint32_t index = 0;
  bool operator==(const Output&) const = default;
};

// The broker, the job's streams, and the data folder of one worker. Outlives its owners.
class PartitionWorld {
 public:
  explicit PartitionWorld(const JobSpec& job = RunningTotal());
  ~PartitionWorld();

  static JobSpec RunningTotal();  // count(), sum(v)
  // Two segments of two partitions: count() by key, then, by the field `g` of the records, count() and sum of
  // those counts.
  static JobSpec TwoSegments();

  // Appends one frame of {"v": value, "g": group} records of the ingest to a partition of the first segment.
  struct Record {
    std::string key;
    int64_t value;
    std::string group = {};
  };
  void Feed(const std::vector<Record>& records, uint32_t partition = 0, int64_t watermark_ms = kNoTime);
  void FeedEnd();  // to all of them
  // A next version of the code: owners know it that are opened from now on, or are told.
  void Update(const JobSpec& next);
  void FeedStranger(const std::string& payload);
  // What a reader of the results takes under rule R3, in order; nullopt while the end mark is missing when
  // `whole`.
  std::vector<Output> Results(uint32_t partition = 0);
  bool ResultsEnded();
  uint64_t ResultMessages();

  ManualClock clock;
  MemoryBroker broker{clock};
  PartitionKey key{"j", "0123456789abcdef", SegmentId(0), PartitionId(0)};
  std::vector<std::shared_ptr<const SegmentSpec>> segments;  // of the code that the job began with
  std::vector<SegmentVersions> versions;                     // by segment
  std::filesystem::path folder;
  std::shared_ptr<DbResources> db_resources;
  std::unique_ptr<MemoryBus> feeder;
  Metrics metrics;
  Counter fenced = metrics.MakeCounter("fenced_total", "");
  MemoryBlobPlace checkpoints;
  absl::Duration checkpoint_interval = absl::InfiniteDuration();  // infinite: owners have no store
  FakeHandlers::Plan handlers;                                    // of each owner, where the job has any
  size_t max_answer_bytes = kMaxRecordedAnswerBytes;
  std::function<absl::StatusOr<SegmentVersions>(const SegmentVersions&, uint64_t)> load_code;
  // Of stages that call one: what it answers, packed.
  std::function<std::string(const HttpCallRequest&)> service = [](const HttpCallRequest&) { return ""; };

 private:
  struct Fed {
    uint64_t bytes = 0;
    uint64_t records = 0;
  };
  PartitionKey KeyOf(SegmentId segment, uint32_t partition) const {
    return {key.job, key.uid, segment, PartitionId(partition)};
  }
  void Append(uint32_t partition, const MessageHeader& header, std::string_view payload);
  WriterCursors ReadResults(uint32_t partition, const std::function<void(const Message&)>& taken);
  std::vector<Fed> fed_;  // by partition of the first segment
};

// One owner's incarnation. Destroying it is a kill: what it has not written is gone.
class PartitionOwner : private PartitionPorts {
 public:
  // Opens the partition, as a worker would. `data`: a folder under the world's, the same for the same worker.
  // `failures`: of opening it, before.
  PartitionOwner(PartitionWorld& world, const std::string& data, int failures = 0);
  PartitionOwner(PartitionWorld& world, const std::string& data, const PartitionKey& key, int failures = 0);
  ~PartitionOwner() override;

  const absl::Status& opened() const { return opened_; }
  Partition& partition() { return *partition_; }
  MemoryBus& bus() { return *bus_; }

  // --- single events
  bool DeliverOne();  // one bus event, when there is any
  bool Work() { return partition_->Work(); }
  bool WriteCommit();      // the committer does its work
  bool AnswerCommit();     // and the lane hears of it
  bool LinkCheckpoint();   // the committer links
  bool StoreCheckpoint();  // the checkpointer puts what was linked into the store, deletes what is old there
                           // and in the log, and the lane hears of it
  bool ReadTail();         // the opener reads the tail that was asked for
  bool SeekOwner();        // the opener looks for the later owner that was asked for
  bool ReadAnswers();      // the recorder reads what was asked for, and the lane hears of it
  bool WriteVerdicts();    // the recorder writes what was asked for, and the lane hears of it
  bool RunHandlers();      // a handler, or its pool, does something, and the lane hears of answers
  void Tick();

  // A random one of the events above.
  void Step(std::mt19937_64& random);
  // Runs until the job is completed or `steps` have passed.
  bool RunToEnd(std::mt19937_64& random, int steps = 200'000);

  bool may_act = true;
  bool sees_later_owners = true;  // false: a server that was deposed answers it

 private:
  absl::StatusOr<bool> HasLaterOwner(Epoch epoch);
  ReaderId OpenReader(const ReaderOptions& options) override { return bus_->OpenReader(options); }
  void CloseReader(ReaderId reader) override { bus_->CloseReader(reader); }
  void WriteCommit(StateStore& store, std::unique_ptr<FrozenCommit> commit) override;
  void LinkCheckpoint(StateStore& store, bool) override { link_wanted_ = &store; }
  void ReadResultTail(const LogTail& tail) override { tail_wanted_ = tail; }
  void LookForLaterOwner(Epoch epoch) override { sought_behind_ = epoch; }
  std::unique_ptr<StageHandlers> UseHandlers(const HandlerStage& stage) override;
  void WriteVerdicts(const LogTail& tail, std::vector<Verdict> verdicts) override {
    verdicts_wanted_.emplace(tail, std::move(verdicts));
  }
  void ReadAnswers(AnswerReading reading) override { answers_wanted_ = std::move(reading); }
  size_t PartitionsOnLane() const override { return 1; }
  bool MayAct() const override { return may_act; }

  PartitionWorld& world_;
  const PartitionKey key_;
  std::unique_ptr<MemoryBus> bus_, opener_bus_;
  std::unique_ptr<DataDir> data_dir_;
  std::unique_ptr<BlobStore> checkpoints_;
  std::unique_ptr<CheckpointSeries> series_;
  std::unique_ptr<LogTrimmer> trimmer_;  // only where the job keeps results only
  StateStore* link_wanted_ = nullptr;
  std::optional<LinkedCheckpoint> linked_;
  absl::Status opened_;
  std::unique_ptr<FrozenCommit> commit_;
  StateStore* store_ = nullptr;
  std::optional<absl::Status> commit_answer_;
  std::optional<LogTail> tail_wanted_;
  std::optional<Epoch> sought_behind_;
  std::optional<std::pair<LogTail, std::vector<Verdict>>> verdicts_wanted_;
  std::optional<AnswerReading> answers_wanted_;
  std::unique_ptr<FakeHandlers> handlers_;
  std::unique_ptr<LuaPool> lua_pool_;      // in their place, where the stage's code is Lua
  std::unique_ptr<HandlerPool> pool_;      // of the one stage that has one
  std::deque<HandlerCall> service_calls_;  // of the one stage that calls a service
  std::deque<BusEvent> events_;
  std::unique_ptr<Partition> partition_;
};

}  // namespace millrace
