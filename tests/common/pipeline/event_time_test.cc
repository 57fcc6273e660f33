#include "common/pipeline/event_time.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

struct Case {
  const char* format;
  const char* text;
  std::optional<int64_t> ms;
};

class EventTime : public testing::TestWithParam<Case> {};

TEST_P(EventTime, ReadsWhatTheFormatSays) {
  const absl::StatusOr<TimeParser> parser = TimeParser::Create(GetParam().format);
  ASSERT_TRUE(parser.ok()) << parser.status();
  EXPECT_EQ(parser->Parse(GetParam().text), GetParam().ms) << GetParam().format << " " << GetParam().text;
}

constexpr int64_t kNewYear2001 = 978'307'200'000;

INSTANTIATE_TEST_SUITE_P(
    Cases, EventTime,
    testing::Values(Case{"%Y/%m/%d %H:%M", "2001/01/01 00:47", kNewYear2001 + 47 * 60'000},
                    Case{"%Y/%m/%d %H:%M", "2001/1/1 0:47", kNewYear2001 + 47 * 60'000},
                    Case{"%Y/%m/%d %H:%M", "2001/01/01 00:47 ", kNewYear2001 + 47 * 60'000},
                    Case{"%Y/%m/%d %H:%M", "2001/02/30 00:47", std::nullopt},
                    Case{"%Y/%m/%d %H:%M", "2000/02/29 00:00", 951'782'400'000},
                    Case{"%Y/%m/%d %H:%M", "1900/02/29 00:00", std::nullopt},
                    Case{"%Y/%m/%d %H:%M", "2001/01/01 24:00", std::nullopt},
                    Case{"%Y/%m/%d %H:%M", "2001/01/01", std::nullopt},
                    Case{"%Y/%m/%d %H:%M", "", std::nullopt}, Case{"%F %T", "1969-12-31 23:59:59", -1000},
                    Case{"%Y-%m-%d %H:%M:%S.%f", "2001-01-01 00:00:00.250", kNewYear2001 + 250},
                    Case{"%Y-%m-%dT%H:%M:%S%z", "2001-01-01T02:00:00+0200", kNewYear2001},
                    Case{"%d %b %Y", "1 Jan 2001", kNewYear2001}, Case{"%s", "978307200", kNewYear2001},
                    Case{"", "2001-01-01T00:00:00Z", kNewYear2001},
                    Case{"", "2001-01-01 00:00:00z", kNewYear2001},
                    Case{"", "2001-01-01T01:00:00.5+01:00", kNewYear2001 + 500},
                    Case{"", "2000-12-31T22:30:00-01:30", kNewYear2001},
                    Case{"", "2001-01-01T00:00:00", kNewYear2001}, Case{"", "2001-01-01", kNewYear2001},
                    Case{"", "978307200", kNewYear2001}, Case{"", "978307200.25", kNewYear2001 + 250},
                    Case{"", "978307200000", kNewYear2001}, Case{"", "-1", -1000}, Case{"", "0", 0},
                    Case{"", "1e400", std::nullopt}, Case{"", "2001-13-01T00:00:00Z", std::nullopt},
                    Case{"", "2001-01-01T00:00:00+25:00", std::nullopt}, Case{"", "yesterday", std::nullopt},
                    Case{"", "", std::nullopt}));

TEST(EventTimeFormat, RefusesOneThatReadsNothing) {
  EXPECT_FALSE(TimeParser::Create("date").ok());
  EXPECT_FALSE(TimeParser::Create("%Q").ok());
}

TEST(FormatTime, ShowsMillisecondsOnlyWhenThereAreAny) {
  EXPECT_EQ(FormatTime(kNewYear2001 + 8 * 3'600'000 + 600'000), "2001-01-01T08:10:00Z");
  EXPECT_EQ(FormatTime(kNewYear2001 + 250), "2001-01-01T00:00:00.250Z");
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace millrace
