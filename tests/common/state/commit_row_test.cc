#include "common/state/commit_row.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

CommitRow Sample() {
  CommitRow row;
  row.uid = "9f86d081884c7d65";
  row.segment = SegmentId(1);
  row.partition = PartitionId(7);
  row.offset = Offset(123'456);
  row.input_created_ns = 1'700'000'000'000'000'001;
  row.offset_time_ns = 1'700'000'000'000'000'002;
  row.input_cursors = std::string("cursors\0with a zero", 19);
  row.result_created_ns = 3;
  row.result_sequence = 4;
  row.result_cursors = "result cursors";
  row.epoch = Epoch(5);
  row.downstream_marks = "downstream marks";
  row.progress.log_time_ms = -1;
  row.progress.watermark_ms = kEndOfTime;
  row.progress.ended = true;
  row.progress.records_in = 10;
  row.progress.records_out = 11;
  row.progress.dead_letters = 12;
  row.progress.skipped = 13;
  row.progress.retries = 14;
  row.state_keys = 15;
  row.state_bytes = 16;
  return row;
}

TEST(CommitRowTest, ReadsBackWhatWasWritten) {
  const auto row = DecodeCommitRow(EncodeCommitRow(Sample()));
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_TRUE(*row == Sample());
}

TEST(CommitRowTest, EveryFlippedByteAndEveryCutIsDataLoss) {
  const std::string good = EncodeCommitRow(Sample());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_EQ(DecodeCommitRow(bad).status().code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_EQ(DecodeCommitRow(good.substr(0, i)).status().code(), absl::StatusCode::kDataLoss) << i;
  }
}

TEST(CommitRowTest, ForeignRowIsRefusedByName) {
  const CommitRow row = Sample();
  EXPECT_EQ(CheckBelongs(row, "9f86d081884c7d65", SegmentId(1), PartitionId(7)), absl::OkStatus());
  EXPECT_EQ(CheckBelongs(row, "9f86d081884c7d65", SegmentId(0), PartitionId(7)).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(CheckBelongs(row, "9f86d081884c7d65", SegmentId(1), PartitionId(8)).ok());
  const absl::Status other = CheckBelongs(row, "0000000000000000", SegmentId(1), PartitionId(7));
  EXPECT_NE(other.ToString().find("9f86d081884c7d65"), std::string::npos) << other;
  EXPECT_NE(other.ToString().find("0000000000000000"), std::string::npos) << other;
}

}  // namespace
}  // namespace millrace
