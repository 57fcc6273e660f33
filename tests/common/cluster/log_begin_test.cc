#include "common/cluster/log_begin.h"

#include "common/strings.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr char kLogUid[] = "0123456789abcdef";
constexpr SegmentId kSegmentOne(1);
constexpr PartitionId kThird(3);

class LogBeginTest : public testing::Test {
 protected:
  // Cursors that tell the offset.
  static LogBegin At(uint64_t offset) {
    LogBegin begin{Offset(offset), WriterCursors(kLogUid)};
    begin.cursors.Restore("0.0", {Epoch(2), {offset * 10, 3}, offset, false, 5});
    return begin;
  }
  void Note(uint64_t offset) {
    Put(LogBeginKey(kLogUid, kSegmentOne, kThird, Offset(offset)), Encode(At(offset)));
  }
  void Put(const std::string& key, const std::string& value, bool deleted = false) {
    entries_[key] = {key, value, ++revision_, deleted, 0};
  }
  absl::StatusOr<std::optional<LogBegin>> Find() {
    return FindLogBegin(entries_, kLogUid, kSegmentOne, kThird);
  }

  std::map<std::string, KeyValue, std::less<>> entries_;
  uint64_t revision_ = 0;
};

TEST_F(LogBeginTest, IsTheGreatestOffsetWhoeverNotedIt) {
  ASSERT_TRUE(Find().ok());
  EXPECT_FALSE(Find()->has_value());
  Note(1000);
  Note(999);  // later, by an owner of the past
  Note(20);
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->offset, Offset(1000));
  const WriterCursors::Cursor cursor = (*found)->cursors.Get("0.0");
  EXPECT_EQ(cursor.epoch, Epoch(2));
  EXPECT_EQ(cursor.mark, (Mark{10'000, 3}));
  EXPECT_EQ(cursor.watermark_ms, 5);
}

TEST_F(LogBeginTest, PassesOverWhatIsNoNoteOfThisPartition) {
  Note(7);
  Put(LogBeginKey(kLogUid, kSegmentOne, PartitionId(30), Offset(900)), Encode(At(900)));
  Put(LogBeginKey("fedcba9876543210", kSegmentOne, kThird, Offset(901)), Encode(At(901)));
  Put(LogBeginKey(kLogUid, kSegmentOne, kThird, Offset(902)), "", /*deleted=*/true);
  Put(LogBeginPrefix(kLogUid, kSegmentOne, kThird) + "x", Encode(At(903)));
  Put(StrCat(kLogUid, ".1.3.904"), "a claim");
  ASSERT_TRUE(Find().ok()) << Find().status();
  EXPECT_EQ((**Find()).offset, Offset(7));
}

TEST_F(LogBeginTest, OneThatCannotBeReadIsNotReplacedByAnOlder) {
  Note(7);
  for (const std::string& bad : {std::string("{"), std::string("[]"), std::string("{\"offset\":8}"),
                                 std::string("{\"offset\":8,\"cursors\":\"!\"}"), Encode(At(9))}) {
    Put(LogBeginKey(kLogUid, kSegmentOne, kThird, Offset(8)), bad);
    EXPECT_TRUE(absl::IsDataLoss(Find().status())) << bad;
  }
}

}  // namespace
}  // namespace millrace
