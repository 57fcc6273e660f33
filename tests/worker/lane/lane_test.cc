#include "worker/lane/lane.h"

#include "common/value/json_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/worker/partition/partition_harness.h"
#include "worker/runtime/pull_loop.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// The rest of the process as a lane sees it; the test does what its threads would do.
class LanePeers : public LanePorts {
 public:
  LanePeers(Bus& bus, ManualClock& clock) : bus_(bus), clock_(clock) {}
  ReaderId OpenReader(uint32_t /*lane*/, const ReaderOptions& options) override {
    return bus_.OpenReader(options);
  }
  void CloseReader(ReaderId reader) override { bus_.CloseReader(reader); }
  void WriteCommit(uint32_t /*lane*/, uint64_t instance, StateStore& store,
                   std::unique_ptr<FrozenCommit> commit) override {
    clock_.Advance(takes);
    commit_instance = instance;
    commit_store = &store;
    commit_wanted = std::move(commit);
  }
  void LinkCheckpoint(uint32_t, uint64_t, const CheckpointOwner&, StateStore&) override {
    ADD_FAILURE() << "no checkpoints are made here";
  }
  void ReadResultTail(uint32_t, uint64_t, const PartitionKey&, const LogTail&) override {}
  void LookForLaterOwner(uint32_t, uint64_t, const PartitionKey&, Epoch) override {}
  std::unique_ptr<StageHandlers> UseHandlers(uint64_t, const HandlerStage&) override {
    ADD_FAILURE() << "no stage has handlers here";
    return nullptr;
  }
  void WriteVerdicts(uint32_t, uint64_t, const PartitionKey&, Epoch, const LogTail&,
                     std::vector<Verdict>) override {}
  void ReadAnswers(uint32_t, uint64_t, const PartitionKey&, AnswerReading) override {}
  bool MayAct() const override { return true; }
  void Released(uint64_t instance, const absl::Status& why) override { released.emplace_back(instance, why); }

  absl::Duration takes;  // to hand a commit on
  uint64_t commit_instance = 0;
  StateStore* commit_store = nullptr;
  std::unique_ptr<FrozenCommit> commit_wanted;
  std::vector<std::pair<uint64_t, absl::Status>> released;

 private:
  Bus& bus_;
  ManualClock& clock_;
};

class LaneTest : public testing::Test {
 protected:
  static constexpr uint32_t kLaneNumber = 0;
  static constexpr int kMaxTurns = 1000;  // far more than anything here takes

  uint64_t Adopt(uint64_t state_budget_bytes = 64 << 20) {
    OpenRequest request;
    request.key = world_.key;
    request.versions = {world_.segments.front()};
    request.claimer = std::to_string(++adopted_);
    auto opened = OpenPartition(*opener_, world_.clock, *data_dir_, world_.db_resources, request);
    EXPECT_TRUE(opened.ok()) << opened.status();
    const uint64_t instance = MakeInstance(adopted_, kLaneNumber);
    lane_.Handle(AdoptPartition{instance, *std::move(opened), /*paused=*/false, state_budget_bytes});
    return instance;
  }
  void Turn() {
    BusEvents polled;
    bus_->Poll(absl::ZeroDuration(), 100, &polled.events);
    if (!polled.events.empty()) lane_.Handle(std::move(polled));
    world_.clock.Advance(kLaneTickInterval);
    lane_.Work();
  }
  // Until the lane has handed on a commit.
  bool AwaitCommit() {
    for (int i = 0; i < kMaxTurns && peers_.commit_wanted == nullptr; ++i) Turn();
    return peers_.commit_wanted != nullptr;
  }
  bool AwaitRecords(uint64_t count) {
    for (int i = 0; i < kMaxTurns && board_.All()[0].records_in < count; ++i) Turn();
    return board_.All()[0].records_in >= count;
  }
  void AnswerCommit(absl::Status status) {
    peers_.commit_wanted.reset();
    lane_.Handle(CommitWritten{peers_.commit_instance, std::move(status), absl::ZeroDuration()});
  }
  void WriteCommit() {
    absl::Status written = peers_.commit_wanted->Write(peers_.commit_store->db());
    AnswerCommit(std::move(written));
  }

  PartitionWorld world_;
  std::unique_ptr<DataDir> data_dir_ = *DataDir::Open(world_.folder / "lane");
  std::unique_ptr<MemoryBus> bus_ = world_.broker.Connect();
  std::unique_ptr<MemoryBus> opener_ = world_.broker.Connect();
  LanePeers peers_{*bus_, world_.clock};
  ReportBoard board_;
  Watchdog watchdog_{*opener_, world_.clock, [] {}};
  Lane lane_{kLaneNumber, peers_, *bus_, world_.clock, board_, watchdog_};
  uint64_t adopted_ = 0;
};

TEST_F(LaneTest, RunsAPartitionAndReportsIt) {
  Adopt();
  world_.Feed({{"a", 1}, {"b", 2}});
  ASSERT_TRUE(AwaitCommit());
  WriteCommit();
  Turn();
  ASSERT_EQ(board_.All().size(), 1u);
  const PartitionReport report = board_.All()[0];
  EXPECT_EQ(report.state, "running");
  EXPECT_EQ(report.records_in, 2u);
  EXPECT_EQ(report.committed_offset, report.offset);
}

// Time passes here only while a commit is handed on, in the middle of a turn.
TEST_F(LaneTest, CountsTheTimeOfAPartitionsTurns) {
  Adopt();
  peers_.takes = absl::Milliseconds(30);
  world_.Feed({{"a", 1}});
  ASSERT_TRUE(AwaitCommit());
  Turn();
  EXPECT_EQ(board_.All()[0].busy_us, 30'000u) << "waiting for the tick is nobody's time";
}

TEST_F(LaneTest, ReleasesAfterALastCommit) {
  const uint64_t instance = Adopt();
  world_.Feed({{"a", 1}});
  ASSERT_TRUE(AwaitRecords(1));
  lane_.Handle(ReleasePartition{instance, /*abandon=*/false});
  ASSERT_TRUE(AwaitCommit());
  EXPECT_TRUE(peers_.released.empty());
  WriteCommit();
  Turn();
  ASSERT_EQ(peers_.released.size(), 1u);
  EXPECT_EQ(peers_.released[0].first, instance);
  EXPECT_TRUE(peers_.released[0].second.ok());
  EXPECT_TRUE(board_.All().empty());
  EXPECT_EQ(lane_.partitions(), 0u);
}

TEST_F(LaneTest, AbandonsWithoutACommitWhenTheLeaseIsGone) {
  const uint64_t instance = Adopt();
  world_.Feed({{"a", 1}});
  lane_.Handle(ReleasePartition{instance, /*abandon=*/true});
  ASSERT_EQ(peers_.released.size(), 1u);
  EXPECT_EQ(peers_.commit_wanted, nullptr);
}

TEST_F(LaneTest, GivesUpAPartitionWhoseDiskIsFullAndKeepsWhatItSaid) {
  const uint64_t instance = Adopt();
  world_.Feed({{"a", 1}});
  ASSERT_TRUE(AwaitCommit());
  AnswerCommit(absl::ResourceExhaustedError("no space left"));
  ASSERT_EQ(peers_.released.size(), 1u);
  EXPECT_EQ(peers_.released[0].first, instance);
  EXPECT_TRUE(absl::IsResourceExhausted(peers_.released[0].second));
  ASSERT_EQ(board_.All().size(), 1u);
  EXPECT_EQ(board_.All()[0].state, "stopped");
  EXPECT_THAT(board_.All()[0].reason, HasSubstr("no space left"));

  // With room again it runs from its last commit, and nothing is there twice.
  board_.Move(instance, Adopt());
  ASSERT_TRUE(AwaitCommit());
  WriteCommit();
  Turn();
  EXPECT_EQ(board_.All()[0].state, "running");
  EXPECT_EQ(world_.Results().size(), 1u);
}

TEST_F(LaneTest, KeepsAPartitionWhoseLogLacksMessages) {
  Adopt();
  for (int i = 0; i < 3; ++i) world_.Feed({{"a", i}});
  world_.broker.Lose(world_.key.input_stream(), 2);
  for (int i = 0; i < 100; ++i) Turn();
  EXPECT_TRUE(peers_.released.empty());
  ASSERT_EQ(board_.All().size(), 1u);
  EXPECT_EQ(board_.All()[0].state, "stopped");
}

TEST_F(LaneTest, AQuestionAboutAPartitionThatLeftIsRefused) {
  std::string answer;
  lane_.Handle(StateQuery{7, "{}", [&](std::string text) { answer = std::move(text); }});
  EXPECT_THAT(answer, HasSubstr(R"("ok":false)"));
}

TEST_F(LaneTest, AnswersWithTheDigestOfTheState) {
  const uint64_t instance = Adopt();
  world_.Feed({{"a", 1}, {"b", 2}});
  ASSERT_TRUE(AwaitRecords(2));
  std::string answer;
  lane_.Handle(
      StateQuery{instance, R"({"verb":"digest"})", [&](std::string text) { answer = std::move(text); }});
  EXPECT_THAT(answer, HasSubstr(R"("ok":true)"));
  EXPECT_THAT(answer, HasSubstr(R"("keys":2)"));
}

TEST_F(LaneTest, AScanGoesOnWhereItsLastAnswerEnded) {
  const uint64_t instance = Adopt();
  const std::vector<std::string> keys = {"a", "b", "b\xff", "b\xff\xff", "c"};
  for (const std::string& key : keys) world_.Feed({{key, 1}});
  while (board_.All()[0].records_in < keys.size()) Turn();
  std::vector<std::string> found;
  nlohmann::json question = {{"verb", "scan"}, {"limit", 2}};
  for (size_t pages = 0; pages < keys.size(); ++pages) {
    nlohmann::json answer;
    lane_.Handle(StateQuery{instance, JsonText(question),
                            [&](const std::string& text) { answer = nlohmann::json::parse(text); }});
    ASSERT_TRUE(answer["ok"].get<bool>()) << answer;
    for (const auto& row : answer["rows"]) found.push_back(TakeBytes(row, "key").value_or("?"));
    if (!answer.contains("next")) break;
    question["cursor"] = answer["next"];
  }
  EXPECT_EQ(found, keys);
}

TEST_F(LaneTest, AnswersAboutAKeyThatIsNoUtf8) {
  const uint64_t instance = Adopt();
  world_.Feed({{"\xff", 1}});
  while (board_.All()[0].records_in == 0) Turn();
  nlohmann::json question = {{"verb", "get"}};
  PutBytes(question, "key", "\xff");
  std::string answer;
  lane_.Handle(StateQuery{instance, JsonText(question), [&](std::string text) { answer = std::move(text); }});
  EXPECT_THAT(answer, HasSubstr(R"("n":1)"));
}

TEST_F(LaneTest, ARetryThatWaitsForTheTimeAloneIsGoneOnWith) {
  JobSpec spec = PartitionWorld::RunningTotal();
  StageSpec picky;
  picky.what = FilterStage{"assert(r.v ~= 3)"};
  picky.code.name = "picky";
  picky.code.errors = ErrorPolicy{OnError::kRetry, {3, {absl::Seconds(1), absl::Seconds(1)}}};
  spec.stages.insert(spec.stages.begin(), picky);
  world_.segments = {std::make_shared<const SegmentSpec>(SegmentOf(spec, kFirstSegment))};
  Adopt();
  world_.Feed({{"a", 3}, {"b", 4}});
  ASSERT_TRUE(AwaitRecords(2));
  EXPECT_EQ(board_.All()[0].dead_letters, 1u);
  EXPECT_EQ(board_.All()[0].retries, 2u);
}

TEST_F(LaneTest, APartitionStaysWithinTheBudgetThatItIsAdoptedWith) {
  JobSpec rarely = PartitionWorld::RunningTotal();
  rarely.commit_interval = absl::Hours(1);
  world_.segments = {std::make_shared<const SegmentSpec>(SegmentOf(rarely, kFirstSegment))};
  Adopt(/*state_budget_bytes=*/1);
  world_.Feed({{"a", 1}});
  EXPECT_TRUE(AwaitCommit());  // it must let go of what is dirty
}

}  // namespace
}  // namespace millrace
