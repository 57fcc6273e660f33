#include "coordinator/replay/replay_trace.h"

#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kTraceUid[] = "0123456789abcdef";
constexpr char kCountPositive[] =
    "stages:\n  - filter: r.v > 0 or error('not positive')\n    name: check\n  - aggregate: { n: count() }\n";

class ReplayTraceTest : public testing::Test {
 protected:
  void Start(const std::string& stages, ReplayFilter filter = {}) {
    const auto spec = ParseJob("job.yaml", "name: j\nkey: k\npartitions: 1\n" + stages);
    ASSERT_TRUE(spec.ok()) << spec.status();
    trace_ = std::make_unique<ReplayTrace>(std::move(filter),
                                           [this](const ReplayedUnit& unit) { units_.push_back(unit); });
    auto replay = PartitionReplay::Create(SegmentVersionsOf({*spec}, kFirstSegment), kTraceUid,
                                          PartitionId(0), {}, {}, {.units = trace_.get()});
    ASSERT_TRUE(replay.ok()) << replay.status();
    replay_ = *std::move(replay);
    trace_->Watch(replay_.get());
  }

  // The log's next message: records of these keys and values {"v": value}.
  absl::Status Feed(const std::vector<std::pair<std::string, int64_t>>& records) {
    FrameBuilder frame;
    const std::string_view fields[] = {"v"};
    const uint32_t shape = frame.InternShape(fields);
    for (const auto& [key, value] : records) {
      std::string packed;
      PackWriter(&packed).Int(value);
      RecordView record;
      record.key = key;
      record.value = packed;
      record.shape = shape;
      frame.Add(record);
    }
    return Take(FrameKind::kData, std::string(frame.Finish()), records.size());
  }
  absl::Status End() { return Take(FrameKind::kEnd, std::string(FrameBuilder(FrameKind::kEnd).Finish()), 0); }
  absl::Status Tick() {
    return Take(FrameKind::kTick, std::string(FrameBuilder(FrameKind::kTick).Finish()), 0);
  }
  absl::Status Stranger(const std::string& payload) { return TakeMessage("", payload); }

  std::vector<ReplayedUnit> units_;
  std::unique_ptr<ReplayTrace> trace_;

 private:
  absl::Status Take(FrameKind kind, std::string payload, uint64_t records) {
    if (kind == FrameKind::kTick) {  // ticks move no mark
      return TakeMessage(FormatMessageHeader({kind, kTraceUid, kTickWriter, Epoch(1), {}, {}, 0}), payload);
    }
    const Mark prev = {fed_, 0};
    fed_ += records;
    return TakeMessage(
        FormatMessageHeader({kind, kTraceUid, kIngestWriter, Epoch(1), prev, Mark{fed_, 0}, fed_}), payload);
  }
  absl::Status TakeMessage(const std::string& header, const std::string& payload) {
    Message message;
    message.sequence = ++sequence_;
    message.time_ns = static_cast<int64_t>(sequence_) * 1'000'000'000;
    message.header = header;
    message.payload = payload;
    return replay_->Take(message, *trace_);
  }

  std::unique_ptr<PartitionReplay> replay_;
  uint64_t sequence_ = 0;
  uint64_t fed_ = 0;
};

TEST_F(ReplayTraceTest, EachRecordHasItsKeysStateBeforeAndAfterAndItsOutputs) {
  Start(kCountPositive);
  ASSERT_TRUE(Feed({{"a", 1}, {"b", 1}, {"a", 1}}).ok());
  ASSERT_EQ(units_.size(), 3u);
  EXPECT_EQ(units_[0].before, "");
  EXPECT_EQ(units_[0].after, R"({"n":1})");
  EXPECT_EQ(units_[2].key, "a");
  EXPECT_EQ(units_[2].index, 2u);
  EXPECT_EQ(units_[2].before, R"({"n":1})");
  EXPECT_EQ(units_[2].after, R"({"n":2})");
  ASSERT_EQ(units_[2].outputs.size(), 1u);
  EXPECT_THAT(units_[2].outputs[0], HasSubstr(R"("partition":0,"offset":1,"index":2)"));
}

TEST_F(ReplayTraceTest, ABadRecordLeavesTheStateAndADeadLetter) {
  Start(kCountPositive);
  ASSERT_TRUE(Feed({{"a", 1}, {"a", -1}}).ok());
  ASSERT_EQ(units_.size(), 2u);
  EXPECT_EQ(units_[1].before, units_[1].after);
  EXPECT_THAT(units_[1].outputs, IsEmpty());
  ASSERT_EQ(units_[1].rejected.size(), 1u);
  EXPECT_THAT(units_[1].rejected[0], HasSubstr(R"("stage":"check","error":")"));
}

TEST_F(ReplayTraceTest, ShowsOnlyWhatIsWantedWithTheStateOfAllBefore) {
  Start(kCountPositive, {.from = 2, .to = 2, .key = "a"});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Feed({{"a", 1}, {"b", 1}}).ok());
  ASSERT_EQ(units_.size(), 1u);
  EXPECT_EQ(units_[0].offset, Offset(2));
  EXPECT_EQ(units_[0].before, R"({"n":1})");
  EXPECT_EQ(trace_->shown(), 1u);
}

TEST_F(ReplayTraceTest, ATimerIsAStepOfItsOwn) {
  Start(
      "stages:\n  - keyed:\n      lua: |\n        state.n = (state.n or 0) + 1\n        timer(1)\n"
      "        function on_timer() emit(state.n) state = nil end\n");
  ASSERT_TRUE(Feed({{"a", 1}}).ok());
  ASSERT_TRUE(Tick().ok());
  ASSERT_EQ(units_.size(), 2u) << "after a record, its timer";
  EXPECT_EQ(units_[1].kind, StepUnit::Kind::kDue);
  EXPECT_EQ(units_[1].key, "a");
  EXPECT_EQ(units_[1].before, R"({"n":1})");
  EXPECT_EQ(units_[1].after, "");
  EXPECT_EQ(units_[1].outputs.size(), 1u);
}

TEST_F(ReplayTraceTest, WhatTheEndEmitsIsShownWithTheStateItWalks) {
  Start("stages:\n  - aggregate: { n: count() }\n    emit: final\n");
  ASSERT_TRUE(Feed({{"b", 1}, {"a", 1}}).ok());
  ASSERT_TRUE(End().ok());
  ASSERT_EQ(units_.size(), 4u);
  EXPECT_EQ(units_[2].key, "a");
  EXPECT_EQ(units_[3].key, "b");
  EXPECT_EQ(units_[3].before, R"({"n":1})");
  EXPECT_EQ(units_[3].outputs.size(), 1u);
}

TEST_F(ReplayTraceTest, ARetriedRecordIsOneStep) {
  Start("on_error: retry\nretry: { attempts: 3, backoff: 1s..10s }\nstages:\n  - filter: error('no')\n");
  ASSERT_TRUE(Feed({{"a", 1}}).ok());
  ASSERT_EQ(units_.size(), 1u);
  EXPECT_THAT(units_[0].rejected, ElementsAre(HasSubstr(R"("attempts":3)")));
}

TEST_F(ReplayTraceTest, TheRecordThatFailsTheJobSaysSo) {
  Start("on_error: fail\nstages:\n  - filter: error('no')\n");
  EXPECT_TRUE(absl::IsAborted(Feed({{"a", 1}})));
  ASSERT_EQ(units_.size(), 1u);
  EXPECT_THAT(units_[0].fails_job, HasSubstr("no"));
}

TEST_F(ReplayTraceTest, AStrangersMessageThatIsNoRecordIsShownAsItCame) {
  Start(kCountPositive);
  ASSERT_TRUE(Stranger("no json").ok());
  ASSERT_EQ(units_.size(), 1u);
  EXPECT_EQ(units_[0].value_member, R"("value":"no json")");
  EXPECT_EQ(units_[0].rejected.size(), 1u);
}

TEST_F(ReplayTraceTest, EveryUnitIsAJsonObjectAndABlockForPeople) {
  Start(kCountPositive);
  ASSERT_TRUE(Feed({{"a\xff", 1}, {"a\xff", -1}}).ok());
  for (const ReplayedUnit& unit : units_) {
    const auto json = nlohmann::json::parse(ToJson(unit), nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << ToJson(unit);
    EXPECT_EQ(json["key_base64"], "Yf8=");
    EXPECT_EQ(json["kind"], "record");
    EXPECT_THAT(ToText(unit), HasSubstr("\n    state   "));
  }
  EXPECT_THAT(ToText(units_[0]), HasSubstr("-> {\"n\":1}"));
}

}  // namespace
}  // namespace millrace
