// A partition that passes from one version of the job's code to the next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/frame/code_mark.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/value.h"
#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// count() and sum() of `v`, `factor` times.
JobSpec TotalOf(int factor) {
  JobSpec spec = PartitionWorld::RunningTotal();
  StageSpec map;
  map.what = MapStage{"", {{"v", StrCat("r.v * ", factor)}}};
  map.code.name = "map";
  spec.stages.insert(spec.stages.begin(), map);
  return spec;
}

class CodeUpdateTest : public testing::Test {
 protected:
  // Version n multiplies by 10 to the n.
  void Update() { world_->Update(TotalOf(factor_ *= 10)); }
  void Tell(PartitionOwner& owner) { owner.partition().HandleVersions(world_->versions.front()); }
  void Feed(int frames) {
    for (int f = 0; f < frames; ++f) {
      std::vector<PartitionWorld::Record> records;
      for (uint64_t n = 1 + random_() % 4; n > 0; --n) {
        records.push_back({StrCat("key-", random_() % 3), static_cast<int64_t>(random_() % 9)});
      }
      world_->Feed(records);
    }
  }
  std::vector<Message> Log() {
    std::vector<Message> log;
    const uint64_t last = world_->feeder->GetStream(world_->key.input_stream())->last_sequence;
    for (uint64_t n = 1; n <= last; ++n) {
      log.push_back(*world_->feeder->GetMessage(world_->key.input_stream(), n));
    }
    return log;
  }
  size_t Marks() {
    size_t marks = 0;
    for (const Message& message : Log()) {
      marks += ParseMessageHeader(message.header)->kind == FrameKind::kCode ? 1 : 0;
    }
    return marks;
  }
  // What follows from the log.
  std::vector<Output> Expected() {
    std::vector<Output> expected;
    std::map<std::string, std::pair<int64_t, int64_t>> totals;
    uint64_t version = 0;
    int64_t factor = 1;
    for (const Message& message : Log()) {
      const absl::StatusOr<MessageHeader> header = ParseMessageHeader(message.header);
      if (header->kind == FrameKind::kCode && header->upto.offset == version + 1) ++version, factor *= 10;
      if (header->kind != FrameKind::kData) continue;
      absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
      FrameView::Cursor records = frame->records();
      RecordView record;
      uint32_t index = 0;
      while (records.Next(&record)) {
        std::string json;
        EXPECT_TRUE(AppendJson(ValueView::Of(record), &json).ok());
        const int64_t value = std::stoll(json.substr(json.find(':') + 1));
        auto& [count, sum] = totals[std::string(record.key)];
        sum += factor * value;
        expected.push_back({std::string(record.key), StrCat(R"({"n":)", ++count, R"(,"sum":)", sum, "}"),
                            message.sequence, index++});
      }
    }
    return expected;
  }
  void AppendMark(uint64_t version) {
    FrameBuilder frame(FrameKind::kCode);
    const std::string header = FormatMessageHeader(CodeMark(world_->key.uid, version));
    const std::string subject = world_->key.input_subject();
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = frame.Finish();
    EXPECT_TRUE(world_->feeder->AppendAndWait(request).ok());
  }
  // Until nothing of the log is left to apply.
  void CatchUp(PartitionOwner& owner) {
    for (int i = 0; i < 100'000; ++i) {
      owner.Step(random_);
      const uint64_t end = world_->feeder->GetStream(world_->key.input_stream())->last_sequence;
      if (owner.partition().offset().value() == end) return;
    }
    FAIL() << "stands at " << owner.partition().offset().value();
  }
  bool AwaitVersion(PartitionOwner& owner, uint64_t version) {
    for (int i = 0; i < 100'000; ++i) {
      owner.Step(random_);
      if (owner.partition().Report().code_version == version) return true;
    }
    return false;
  }
  void AwaitCommit(PartitionOwner& owner) {
    for (int i = 0; i < 100'000; ++i) {
      owner.Step(random_);
      if (owner.partition().Report().committed_offset == owner.partition().offset().value()) return;
    }
    FAIL() << "no commit";
  }

  void BeginAnew(uint64_t seed) {
    world_ = std::make_unique<PartitionWorld>(TotalOf(1));
    random_.seed(seed);
    factor_ = 1;
  }

  std::unique_ptr<PartitionWorld> world_ = std::make_unique<PartitionWorld>(TotalOf(1));
  std::mt19937_64 random_{7};
  int factor_ = 1;
};

TEST_F(CodeUpdateTest, GoesOnUnderTheNewCodeBehindTheMark) {
  Feed(5);
  PartitionOwner owner(*world_, "w1");
  CatchUp(owner);
  Update();
  Tell(owner);
  ASSERT_TRUE(AwaitVersion(owner, 1));
  Feed(5);
  world_->FeedEnd();
  ASSERT_TRUE(owner.RunToEnd(random_));
  EXPECT_EQ(Marks(), 1u);
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, WhatIsInTheLogAlreadyRunsUnderTheOldCode) {
  PartitionOwner owner(*world_, "w1");
  Update();
  Tell(owner);
  Feed(20);
  ASSERT_TRUE(AwaitVersion(owner, 1));
  world_->FeedEnd();
  ASSERT_TRUE(owner.RunToEnd(random_));
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, SendsTheMarksOfTwoUpdatesInTheirOrder) {
  PartitionOwner owner(*world_, "w1");
  Update();
  Update();
  Tell(owner);
  Feed(3);
  ASSERT_TRUE(AwaitVersion(owner, 2));
  Feed(3);
  world_->FeedEnd();
  ASSERT_TRUE(owner.RunToEnd(random_));
  EXPECT_EQ(Marks(), 2u);
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, AnswersRightWhereverItsOwnersDie) {
  size_t marks = 0;
  for (uint64_t seed = 1; seed <= 15 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    BeginAnew(seed);
    Feed(15);
    bool completed = false;
    for (int life = 0; life < 200 && !completed; ++life) {
      if (life == 2 || life == 4) Update();
      if (life == 3) Feed(15);
      if (life == 6) world_->FeedEnd();
      // Now and then another worker, without this one's state.
      PartitionOwner owner(*world_, random_() % 4 == 0 ? "w2" : "w1");
      ASSERT_TRUE(owner.opened().ok()) << owner.opened();
      completed = owner.RunToEnd(random_, static_cast<int>(20 + random_() % 150));
    }
    ASSERT_TRUE(completed);
    ASSERT_EQ(world_->Results(), Expected());
    marks += Marks();
  }
  EXPECT_GT(marks, 15u) << "the marks came too late to try anything";
}

TEST_F(CodeUpdateTest, AnHeirsMarkOfTheSameVersionCountsOnce) {
  Feed(2);
  Update();
  PartitionOwner zombie(*world_, "w1");
  zombie.bus().HoldAppends();
  for (int i = 0; i < 2000; ++i) zombie.Step(random_);
  PartitionOwner heir(*world_, "w2");
  ASSERT_TRUE(AwaitVersion(heir, 1));
  Feed(2);
  zombie.bus().ReleaseAppends();
  CatchUp(heir);
  Feed(2);
  world_->FeedEnd();
  ASSERT_TRUE(heir.RunToEnd(random_));
  EXPECT_EQ(Marks(), 2u);
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, WaitsAtTheMarkOfAVersionThatItDoesNotKnow) {
  Feed(3);
  AppendMark(1);
  Feed(3);
  PartitionOwner owner(*world_, "w1");
  for (int i = 0; i < 3000; ++i) owner.Step(random_);
  EXPECT_EQ(owner.partition().offset(), Offset(3));
  EXPECT_EQ(owner.partition().Report().code_version, 0u);
  EXPECT_THAT(owner.partition().Report().reason, HasSubstr("waits for version 1"));
  Update();
  Tell(owner);
  CatchUp(owner);
  EXPECT_EQ(owner.partition().Report().reason, "");
  world_->FeedEnd();
  ASSERT_TRUE(owner.RunToEnd(random_));
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, OpensUnderTheVersionOfItsCommit) {
  Update();
  {
    PartitionOwner owner(*world_, "w1");
    Feed(3);
    ASSERT_TRUE(AwaitVersion(owner, 1));
    AwaitCommit(owner);
  }
  Feed(3);
  PartitionOwner heir(*world_, "w1");
  ASSERT_TRUE(heir.opened().ok()) << heir.opened();
  EXPECT_EQ(heir.partition().Report().code_version, 1u);
  world_->FeedEnd();
  ASSERT_TRUE(heir.RunToEnd(random_));
  EXPECT_EQ(Marks(), 1u);
  EXPECT_EQ(world_->Results(), Expected());
}

TEST_F(CodeUpdateTest, LoadsTheFilesOfVersionsThatTheLogCanStillComeTo) {
  std::vector<uint64_t> first;
  world_->load_code = [&](const SegmentVersions& versions, uint64_t from) -> absl::StatusOr<SegmentVersions> {
    first.push_back(from);
    return versions;
  };
  Update();
  {
    PartitionOwner owner(*world_, "w1");
    Feed(3);
    ASSERT_TRUE(AwaitVersion(owner, 1));
    AwaitCommit(owner);
  }
  Update();
  { const PartitionOwner heir(*world_, "w1"); }
  { const PartitionOwner without_state(*world_, "w2"); }
  EXPECT_THAT(first, testing::ElementsAre(0, 1, 0));
  world_->load_code = [](const SegmentVersions&, uint64_t) -> absl::StatusOr<SegmentVersions> {
    return absl::FailedPreconditionError("a plugin is not there");
  };
  const PartitionOwner without_files(*world_, "w1");
  EXPECT_THAT(without_files.opened().message(), HasSubstr("a plugin is not there"));
  const absl::Status claimed =
      world_->feeder->GetKey(kEpochsBucket, EpochKey(world_->key.uid, world_->key.writer(), Epoch(4)))
          .status();
  EXPECT_TRUE(absl::IsNotFound(claimed)) << claimed;
}

TEST_F(CodeUpdateTest, ClaimsNothingWhileTheVersionOfItsCommitIsNotKnown) {
  Update();
  Epoch epoch;
  {
    PartitionOwner owner(*world_, "w1");
    Feed(1);
    ASSERT_TRUE(AwaitVersion(owner, 1));
    AwaitCommit(owner);
    epoch = owner.partition().epoch();
  }
  world_->versions.front().pop_back();
  PartitionOwner early(*world_, "w1");
  EXPECT_TRUE(absl::IsUnavailable(early.opened())) << early.opened();
  const std::string next = EpochKey(world_->key.uid, world_->key.writer(), epoch.Next());
  EXPECT_TRUE(absl::IsNotFound(world_->feeder->GetKey(kEpochsBucket, next).status()));
}

TEST_F(CodeUpdateTest, StopsLoudlyAtCodeThatCannotRun) {
  JobSpec broken = TotalOf(1);
  std::get<MapStage>(broken.stages.front().what).fields.front().second = "r.v *";
  world_->Update(broken);
  PartitionOwner owner(*world_, "w1");
  Feed(1);
  for (int i = 0; i < 3000; ++i) owner.Step(random_);
  const PartitionReport report = owner.partition().Report();
  EXPECT_EQ(report.state, "stopped");
  EXPECT_EQ(report.code_version, 0u);
  EXPECT_THAT(report.reason, HasSubstr("version 1 of the job's code cannot run"));
}

TEST_F(CodeUpdateTest, SendsNoMarkBehindTheEnd) {
  Feed(2);
  world_->FeedEnd();
  PartitionOwner owner(*world_, "w1");
  CatchUp(owner);
  Update();
  Tell(owner);
  ASSERT_TRUE(owner.RunToEnd(random_));
  EXPECT_EQ(Marks(), 0u);
  EXPECT_EQ(world_->Results(), Expected());
}

}  // namespace
}  // namespace millrace
