#include "coordinator/ingest/added_input.h"

#include "common/frame/message_header.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr char kAddedUid[] = "0123456789abcdef";

class AddedInputTest : public testing::Test {
 protected:
  AddedInputTest() : broker_(clock_), bus_(broker_.Connect()) {
    EXPECT_TRUE(bus_->CreateBucket(kAssignmentsBucket).ok());
  }
  absl::StatusOr<uint32_t> Number(const std::string& name, uint64_t bytes, const std::string& digest) {
    return NumberAddedInput(*bus_, "j", kAddedUid, {{{name, bytes, digest}}, 1});
  }

  ManualClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> bus_;
};

TEST_F(AddedInputTest, TheSameContentHasTheSameNumberWhateverItIsCalled) {
  EXPECT_EQ(*Number("a", 10, "x"), 1u);
  EXPECT_EQ(*Number("b", 10, "y"), 2u);
  EXPECT_EQ(*Number("moved/a", 10, "x"), 1u);
  EXPECT_EQ(*Number("a", 11, "x"), 3u);
}

TEST_F(AddedInputTest, AJobHasSoManyAndNoMore) {
  for (uint32_t n = 1; n <= kMaxAddedInputs; ++n) ASSERT_EQ(*Number("a", n, "x"), n);
  const auto refused = Number("a", 0, "x");
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status()));
  EXPECT_THAT(ToStd(refused.status().message()), testing::HasSubstr("publish these records"));
  EXPECT_EQ(*Number("a", 17, "x"), 17u);
}

TEST_F(AddedInputTest, IsFedWhenItsOwnKeySaysSo) {
  ASSERT_TRUE(
      bus_->CreateKey(kAssignmentsBucket, FedKey(kAddedUid, AddedWriter(2)), Encode(InputFed{5, 1, 1})).ok());
  EXPECT_FALSE(FindFed(*bus_, kAddedUid, AddedWriter(1))->has_value());
  EXPECT_FALSE(FindFed(*bus_, kAddedUid, kIngestWriter)->has_value());
  EXPECT_EQ((*FindFed(*bus_, kAddedUid, AddedWriter(2)))->records, 5u);
}

}  // namespace
}  // namespace millrace
