#include "coordinator/verify/partition_replay.h"

#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kReplayUid[] = "0123456789abcdef";

class PartitionReplayTest : public testing::Test, protected StepSink {
 protected:
  std::unique_ptr<PartitionReplay> Make(const std::string& stages, VerdictAttempts attempts = {}) {
    const auto spec = ParseJob("job.yaml", "name: j\nkey: k\npartitions: 1\n" + stages);
    EXPECT_TRUE(spec.ok()) << spec.status();
    auto replay = PartitionReplay::Create(SegmentVersionsOf({*spec}, kFirstSegment), kReplayUid,
                                          PartitionId(0), std::move(attempts));
    EXPECT_TRUE(replay.ok()) << replay.status();
    return *std::move(replay);
  }

  // The log's next message: records {"v": value} of key "a", from the ingest's position `prev` on.
  Message Data(uint64_t prev, const std::vector<int64_t>& values, uint64_t epoch = 1) {
    FrameBuilder frame;
    const std::string_view fields[] = {"v"};
    const uint32_t shape = frame.InternShape(fields);
    for (const int64_t value : values) {
      std::string packed;
      PackWriter(&packed).Int(value);
      RecordView record;
      record.key = "a";
      record.value = packed;
      record.shape = shape;
      frame.Add(record);
    }
    return Next({FrameKind::kData, kReplayUid, kIngestWriter, Epoch(epoch), Mark{prev, 0},
                 Mark{prev + values.size(), 0}, prev + values.size()},
                std::string(frame.Finish()));
  }
  Message Control(FrameKind kind, uint64_t at, uint64_t epoch = 1) {
    FrameBuilder frame(kind);
    return Next({kind, kReplayUid, kIngestWriter, Epoch(epoch), Mark{at, 0}, Mark{at, 0}, at},
                std::string(frame.Finish()));
  }
  Message Next(const MessageHeader& header, std::string payload) {
    Message message;
    message.sequence = ++sequence_;
    message.time_ns = static_cast<int64_t>(sequence_) * 1'000'000'000;
    message.header = FormatMessageHeader(header);
    message.payload = std::move(payload);
    return message;
  }
  absl::Status Take(PartitionReplay& replay, const Message& message) { return replay.Take(message, *this); }

  std::vector<std::string> outputs_;
  std::vector<std::string> letters_;

 private:
  void Emit(const RecordView& record) override {
    outputs_.push_back(StrCat(record.offset.value(), ".", record.index, " ", record.key));
  }
  void Reject(const DeadLetter& letter) override {
    letters_.push_back(StrCat(letter.record, " ", letter.stage));
  }

  uint64_t sequence_ = 0;
};

constexpr char kCounting[] = "stages:\n  - aggregate: { n: count() }\n";

TEST_F(PartitionReplayTest, RunsEachMessageUnderTheCodeInForceThere) {
  const std::string head = "name: j\nkey: k\npartitions: 1\n";
  const JobSpec all = *ParseJob("job.yaml", head + kCounting);
  const JobSpec some =
      *ParseJob("job.yaml", head + "stages:\n  - filter: r.v > 1\n  - aggregate: { n: count() }\n");
  const auto replay =
      PartitionReplay::Create(SegmentVersionsOf({all, some}, kFirstSegment), kReplayUid, PartitionId(0), {});
  ASSERT_TRUE(replay.ok()) << replay.status();
  FrameBuilder mark(FrameKind::kCode);
  const std::string payload(mark.Finish());
  ASSERT_TRUE(Take(**replay, Data(0, {1, 2})).ok());
  ASSERT_TRUE(Take(**replay, Next(CodeMark(kReplayUid, 1), payload)).ok());
  EXPECT_EQ((*replay)->code_version(), 1u);
  ASSERT_TRUE(Take(**replay, Data(2, {1, 2})).ok());
  ASSERT_TRUE(Take(**replay, Next(CodeMark(kReplayUid, 1), payload)).ok());
  EXPECT_THAT(outputs_, ElementsAre("1.0 a", "1.1 a", "3.0 a"));
  EXPECT_EQ((*replay)->dropped_messages(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(Take(**replay, Next(CodeMark(kReplayUid, 2), payload))));
}

TEST_F(PartitionReplayTest, BeginsBehindACheckpointUnderTheCodeOfItsCommit) {
  const std::string head = "name: j\nkey: k\npartitions: 1\n";
  const JobSpec all = *ParseJob("job.yaml", head + kCounting);
  const JobSpec some =
      *ParseJob("job.yaml", head + "stages:\n  - filter: r.v > 1\n  - aggregate: { n: count() }\n");
  WriterCursors cursors(kReplayUid);
  cursors.Offer(CodeMark(kReplayUid, 1));
  ReplayStart start;
  start.commit.emplace();
  start.commit->input_cursors = cursors.Encode();
  const SegmentVersions versions = SegmentVersionsOf({all, some}, kFirstSegment);
  const auto replay = PartitionReplay::Create(versions, kReplayUid, PartitionId(0), {}, start);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_EQ((*replay)->code_version(), 1u);
  ASSERT_TRUE(Take(**replay, Data(0, {1, 2})).ok());
  EXPECT_THAT(outputs_, ElementsAre("1.0 a"));
}

TEST_F(PartitionReplayTest, GivesTheOutputsUnderTheirLabels) {
  const auto replay = Make(kCounting);
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1, 2})).ok());
  EXPECT_THAT(outputs_, ElementsAre("2.0 a", "2.1 a"));
  EXPECT_EQ(replay->offset(), Offset(2));
  EXPECT_EQ(replay->progress().records_in, 2u);
}

TEST_F(PartitionReplayTest, DropsWhatIsNoPartOfTheLogUnderR3) {
  const auto replay = Make(kCounting);
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1})).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1})).ok());  // sent twice
  ASSERT_TRUE(Take(*replay, Data(5, {1})).ok());  // behind a gap
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 1, /*epoch=*/2)).ok());
  ASSERT_TRUE(Take(*replay, Data(1, {1})).ok());  // a zombie's
  EXPECT_EQ(outputs_.size(), 1u);
  EXPECT_EQ(replay->dropped_messages(), 3u);
  EXPECT_EQ(replay->offset(), Offset(6));
}

TEST_F(PartitionReplayTest, TheFirstEndMarkEndsTheInput) {
  const auto replay = Make("stages:\n  - aggregate: { n: count() }\n    emit: final\n");
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1, 2})).ok());
  EXPECT_THAT(outputs_, IsEmpty());
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEnd, 2)).ok());
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEnd, 2)).ok());
  EXPECT_THAT(outputs_, ElementsAre("3.0 a"));
  EXPECT_TRUE(replay->progress().ended);
}

TEST_F(PartitionReplayTest, AMessageWithoutOurHeaderIsAStrangersRecord) {
  const auto replay = Make(kCounting);
  Message message;
  message.sequence = 1;
  message.payload = R"({"k":"b"})";
  ASSERT_TRUE(Take(*replay, message).ok());
  EXPECT_THAT(outputs_, ElementsAre("1.0 b"));
}

TEST_F(PartitionReplayTest, ARecordThatVerdictsHaveUsedUpIsNotRun) {
  VerdictAttempts attempts;
  CountVerdict({Offset(2), 1, "overran", "slow"}, &attempts);
  const auto replay = Make("stages:\n  - filter: r.v > 0\n    name: slow\n", std::move(attempts));
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1, 2, 3})).ok());
  EXPECT_THAT(letters_, ElementsAre("1 slow"));
  EXPECT_EQ(outputs_.size(), 2u);
}

TEST_F(PartitionReplayTest, RetriesAreRunAtOnceAndEndAsTheWorkersDo) {
  const auto replay =
      Make("on_error: retry\nretry: { attempts: 3, backoff: 1s..10s }\nstages:\n  - filter: error('no')\n");
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  ASSERT_TRUE(Take(*replay, Data(0, {1})).ok());
  EXPECT_EQ(letters_.size(), 1u);
  EXPECT_EQ(replay->progress().retries, 2u);
}

TEST_F(PartitionReplayTest, TellsADamagedMessageFromAJobThatFails) {
  const auto replay = Make("on_error: fail\nstages:\n  - filter: error('no')\n");
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  Message damaged = Data(0, {1});
  damaged.payload.back() = static_cast<char>(damaged.payload.back() ^ 1);
  const absl::Status said = Take(*replay, damaged);
  EXPECT_TRUE(absl::IsDataLoss(said)) << said;
  EXPECT_THAT(ToStd(said.message()), HasSubstr("input message 2"));
  EXPECT_TRUE(absl::IsAborted(Take(*replay, Data(1, {1}))));
}

TEST_F(PartitionReplayTest, AMessageOfALaterWireVersionIsNoRecord) {
  const auto replay = Make(kCounting);
  ASSERT_TRUE(Take(*replay, Control(FrameKind::kEpoch, 0)).ok());
  Message later = Data(0, {1});
  later.header[0] = '2';
  const absl::Status said = Take(*replay, later);
  EXPECT_TRUE(absl::IsDataLoss(said)) << said;
  EXPECT_THAT(ToStd(said.message()), HasSubstr("version"));
  EXPECT_THAT(outputs_, IsEmpty());
}

}  // namespace
}  // namespace millrace
