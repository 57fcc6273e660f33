#include "coordinator/results/result_reader.h"

#include <gtest/gtest.h>

#include "common/clock.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr char kReaderUid[] = "00000000000000aa";

struct ResultRow {
  uint64_t offset = 0;
  uint32_t index = 0;
  std::string key;
  std::string value;
};

class ResultReaderTest : public testing::Test {
 protected:
  ResultReaderTest() {
    job_.name = "j";
    job_.uid = kReaderUid;
    job_.partitions = 2;
    for (uint32_t p = 0; p < job_.partitions; ++p) {
      StreamConfig config;
      config.name = ResultStream("j", PartitionId(p));
      config.subjects = {ResultSubject("j", PartitionId(p))};
      config.description = StreamDescription(kReaderUid);
      EXPECT_TRUE(bus_.CreateStream(config).ok());
    }
  }

  void AppendFrame(uint32_t partition, FrameBuilder& frame, const MessageHeader& header) {
    const std::string subject = ResultSubject("j", PartitionId(partition));
    const std::string text = FormatMessageHeader(header);
    AppendRequest request;
    request.subject = subject;
    request.header = text;
    request.payload = frame.Finish();
    ASSERT_TRUE(bus_.AppendAndWait(request).ok());
  }

  MessageHeader Header(uint32_t partition, FrameKind kind, uint64_t epoch, Mark prev, Mark upto) {
    return {kind, kReaderUid, OwnerWriter(kFirstSegment, PartitionId(partition)), Epoch(epoch), prev,
            upto, 0};
  }

  void AppendMark(uint32_t partition, FrameKind kind, uint64_t epoch, Mark at) {
    FrameBuilder frame(kind);
    AppendFrame(partition, frame, Header(partition, kind, epoch, at, at));
  }

  void Append(uint32_t partition, uint64_t epoch, Mark prev, Mark upto,
              const std::vector<ResultRow>& results) {
    FrameBuilder frame(FrameKind::kResults);
    for (const ResultRow& result : results) {
      RecordView record;
      record.key = result.key;
      record.value = result.value;
      record.offset = Offset(result.offset);
      record.index = result.index;
      frame.Add(record);
    }
    AppendFrame(partition, frame, Header(partition, FrameKind::kResults, epoch, prev, upto));
  }

  std::vector<std::string> ReadAll(ResultQuery query = {}) {
    std::vector<std::string> lines;
    ResultReader reader(bus_, clock_, job_, std::move(query));
    const absl::Status status = reader.ReadAll([&](PartitionId partition, const RecordView& record) {
      lines.push_back(StrCat(partition.value(), ":", record.offset.value(), ".", record.index, " ",
                             record.key, "=", record.value));
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return lines;
  }

  using Lines = std::vector<std::string>;
  MemoryBroker broker_{SystemClock()};
  MemoryBus bus_{broker_};
  ManualClock clock_;
  JobRecord job_;
};

TEST_F(ResultReaderTest, ReadsPartitionsInOrder) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  AppendMark(1, FrameKind::kEpoch, 1, {});
  Append(1, 1, {}, {2, 0}, {{1, 0, "b", "x"}});
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "y"}, {1, 1, "a", "z"}});
  EXPECT_EQ(ReadAll(), (Lines{"0:1.0 a=y", "0:1.1 a=z", "1:1.0 b=x"}));
}

TEST_F(ResultReaderTest, TakesAMessageThatWasSentTwiceOnce) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "1"}});
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "1"}});
  Append(0, 1, {2, 0}, {3, 0}, {{2, 0, "a", "2"}});
  EXPECT_EQ(ReadAll(), (Lines{"0:1.0 a=1", "0:2.0 a=2"}));
}

TEST_F(ResultReaderTest, DropsWhatAZombieAppendsBehindTheNextOwnersMark) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "1"}});
  AppendMark(0, FrameKind::kEpoch, 2, {2, 0});
  Append(0, 1, {2, 0}, {3, 0}, {{2, 0, "a", "zombie"}});
  Append(0, 2, {2, 0}, {3, 0}, {{2, 0, "a", "2"}});
  EXPECT_EQ(ReadAll(), (Lines{"0:1.0 a=1", "0:2.0 a=2"}));
}

TEST_F(ResultReaderTest, PassesOverAMessageThatCameBeforeTheOneBeforeIt) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  Append(0, 1, {2, 0}, {3, 0}, {{2, 0, "a", "2"}});  // its predecessor was lost
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "1"}});
  Append(0, 1, {2, 0}, {3, 0}, {{2, 0, "a", "2"}});
  EXPECT_EQ(ReadAll(), (Lines{"0:1.0 a=1", "0:2.0 a=2"}));
}

TEST_F(ResultReaderTest, TakesOnlyWhatIsNewOfAMessageThatWasCutAnew) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  Append(0, 1, {}, {2, 0}, {{1, 0, "a", "1"}});
  Append(0, 1, {}, {3, 0}, {{1, 0, "a", "1"}, {2, 0, "a", "2"}});
  EXPECT_EQ(ReadAll(), (Lines{"0:1.0 a=1", "0:2.0 a=2"}));
}

TEST_F(ResultReaderTest, FiltersByKeyPartitionAndOffset) {
  AppendMark(0, FrameKind::kEpoch, 1, {});
  Append(0, 1, {}, {3, 0}, {{1, 0, "a", "1"}, {2, 0, "b", "2"}, {2, 1, "a", "3"}});
  ResultQuery by_key;
  by_key.key = "a";
  EXPECT_EQ(ReadAll(by_key), (Lines{"0:1.0 a=1", "0:2.1 a=3"}));
  ResultQuery from;
  from.from_offset = 2;
  EXPECT_EQ(ReadAll(from), (Lines{"0:2.0 b=2", "0:2.1 a=3"}));
  ResultQuery elsewhere;
  elsewhere.partition = 1;
  EXPECT_EQ(ReadAll(elsewhere), Lines{});
}

TEST_F(ResultReaderTest, FollowsUntilEveryPartitionHasItsEndMark) {
  for (uint32_t p = 0; p < 2; ++p) {
    AppendMark(p, FrameKind::kEpoch, 1, {});
    Append(p, 1, {}, {2, 0}, {{1, 0, "k", "v"}});
    AppendMark(p, FrameKind::kEnd, 1, {2, 0});
  }
  size_t records = 0;
  ResultReader reader(bus_, clock_, job_, {});
  const absl::Status status = reader.Follow(
      [&](PartitionId, const RecordView&) {
        ++records;
        return absl::OkStatus();
      },
      []() -> absl::StatusOr<bool> { return false; }, [] { return absl::OkStatus(); });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(records, 2u);
}

// The submit of the job may be under way.
TEST_F(ResultReaderTest, FollowsAStreamThatIsMadeLater) {
  const std::string later = ResultStream("j", PartitionId(1));
  const StreamConfig config = bus_.GetStream(later)->config;
  ASSERT_TRUE(bus_.DeleteStream(later).ok());
  AppendMark(0, FrameKind::kEpoch, 1, {});
  AppendMark(0, FrameKind::kEnd, 1, {});
  size_t records = 0;
  bool made = false;
  ResultReader reader(bus_, SystemClock(), job_, {});  // it is idle after a while
  const absl::Status status = reader.Follow(
      [&](PartitionId, const RecordView&) {
        ++records;
        return absl::OkStatus();
      },
      []() -> absl::StatusOr<bool> { return false; },
      [&] {
        if (std::exchange(made, true)) return absl::OkStatus();
        EXPECT_TRUE(bus_.CreateStream(config).ok());
        AppendMark(1, FrameKind::kEpoch, 1, {});
        Append(1, 1, {}, {2, 0}, {{1, 0, "k", "v"}});
        AppendMark(1, FrameKind::kEnd, 1, {2, 0});
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(records, 1u);
}

TEST(ResultLineTest, WritesTheLineOfTheInterface) {
  RecordView record;
  record.key = "ATL";
  record.value = "\xff";
  record.offset = Offset(17);
  record.index = 2;
  record.time_ms = 978336600000;
  std::string line;
  AppendResultLine(record, PartitionId(3), &line);
  EXPECT_EQ(
      line,
      R"({"key":"ATL","value_base64":"/w==","partition":3,"offset":17,"index":2,"time":"2001-01-01T08:10:00Z"})"
      "\n");
}

TEST(ResultLineTest, CsvRefusesAFieldThatHasNoColumn) {
  CsvResultWriter csv;
  std::string out;
  RecordView record;
  record.key = "a,b";
  record.value = "x";
  EXPECT_TRUE(csv.Append(record, PartitionId(0), &out).ok());
  EXPECT_EQ(out, "key,value,partition,offset,index,time\n\"a,b\",x,0,0,0,\n");
}

}  // namespace
}  // namespace millrace
