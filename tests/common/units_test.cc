#include "common/units.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Units, ReadsDurationsWithEveryUnit) {
  EXPECT_EQ(*ParseDuration("7ns"), absl::Nanoseconds(7));
  EXPECT_EQ(*ParseDuration("7us"), absl::Microseconds(7));
  EXPECT_EQ(*ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDuration("10s"), absl::Seconds(10));
  EXPECT_EQ(*ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(*ParseDuration("1h"), absl::Hours(1));
  EXPECT_EQ(*ParseDuration("30d"), absl::Hours(720));
  EXPECT_EQ(*ParseDuration("1m30s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("1.5h"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("0s"), absl::ZeroDuration());
}

TEST(Units, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "10", "0", "s", "-1s", "+1s", "1 s", "1s ", "1sec", "1.2.3s", "inf", "1e3s",
                           "1m30", "99999999999999999999s", "9999999999999d", "\xff"}) {
    EXPECT_EQ(ParseDuration(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(ParseDuration("10").status().message(),
            "\"10\" is no duration — it is a number with a unit of ns us ms s m h d — try 250ms or 1m30s");
}

TEST(Units, WritesDurationsThatReadBackTheSame) {
  for (const char* text : {"0s", "7ns", "250ms", "10s", "1m30s", "1h", "30d", "1h0.5s"}) {
    EXPECT_EQ(millrace::FormatDuration(*ParseDuration(text)), text);
  }
  EXPECT_EQ(millrace::FormatDuration(absl::Hours(25)), "25h");
  EXPECT_EQ(millrace::FormatDuration(absl::Seconds(3600)), "1h");
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(*ParseSize("512"), 512u);
  EXPECT_EQ(*ParseSize("512B"), 512u);
  EXPECT_EQ(*ParseSize("64KiB"), 65536u);
  EXPECT_EQ(*ParseSize("64KB"), 64000u);
  EXPECT_EQ(*ParseSize("2GiB"), 2147483648u);
  EXPECT_EQ(*ParseSize("1.5MiB"), 1572864u);
  EXPECT_EQ(*ParseSize("9007199254740993"), 9007199254740993u);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "KiB", "-1", "64K", "64kib", "1 KiB", "1KiB2", "1e9", "9223372036854775808", "9999999TiB"}) {
    EXPECT_EQ(ParseSize(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Units, WritesSizesForPeople) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(1023), "1023 B");
  EXPECT_EQ(FormatSize(1572864), "1.5 MiB");
  EXPECT_EQ(FormatSize(5ull << 50), "5120.0 TiB");
}

TEST(Units, FindsTheNearMissOnlyWhenItIsNear) {
  const std::vector<std::string> stages = {"filter", "map", "flat_map", "aggregate", "keyed"};
  EXPECT_EQ(NearMiss("agregate", stages), "aggregate");
  EXPECT_EQ(NearMiss("fitler", stages), "filter");
  EXPECT_EQ(NearMiss("Map", stages), "map");
  EXPECT_EQ(NearMiss("mpa", stages), "map");
  EXPECT_EQ(NearMiss("flatmap", stages), "flat_map");
  EXPECT_EQ(NearMiss("banana", stages), "");
  EXPECT_EQ(NearMiss("", stages), "");
  EXPECT_EQ(NearMiss(std::string(1000, 'a'), stages), "");
}

}  // namespace
}  // namespace millrace
