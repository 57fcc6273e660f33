#include "common/fault_page.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "common/clock.h"
#include "common/strings.h"

namespace millrace {
namespace {

std::string PageFile(const char* name) { return StrCat(testing::TempDir(), "/", name, ".page"); }

TEST(FaultPage, IsSharedByAllWhoMapTheFile) {
  const auto asks = MapFaultPage(PageFile("shared"));
  const auto suffers = MapFaultPage(PageFile("shared"));
  std::remove(PageFile("shared").c_str());  // a mapping outlives its file's name
  ASSERT_TRUE(asks.ok() && suffers.ok());
  (*asks)->disk = DiskFault::kFull;
  EXPECT_EQ((*suffers)->disk, DiskFault::kFull);
  (*asks)->disk = DiskFault::kNone;
}

TEST(FaultPage, AFolderThatIsNotThereIsSaid) {
  EXPECT_EQ(MapFaultPage("/no/such/folder/page").status().code(), absl::StatusCode::kFailedPrecondition);
}

#if MILLRACE_TEST_HOOKS
// In a process of its own: which page is its own is looked up once.
void ExpectWallClockAlone() {
  const std::string file = PageFile("clock");
  std::remove(file.c_str());  // of an earlier run that did not come to its end
  setenv("MILLRACE_FAULT_PAGE", file.c_str(), 1);
  const auto page = MapFaultPage(file);
  if (!page.ok()) std::_Exit(1);
  const absl::Time wall = SystemClock().Now();
  const absl::Duration monotonic = SystemClock().Monotonic();
  std::remove(file.c_str());
  (*page)->clock_shift_ms = absl::ToInt64Milliseconds(-absl::Hours(1));
  if (SystemClock().Now() - wall > -absl::Minutes(50)) std::_Exit(2);
  if (SystemClock().Monotonic() < monotonic) std::_Exit(3);
  if ((*page)->shifted_looks != 1) std::_Exit(4);
  (*page)->clock_shift_ms = 0;
  std::_Exit(SystemClock().Now() >= wall ? 0 : 5);
}

TEST(FaultPageDeathTest, ShiftsTheWallClockAndNotTheMonotonicOne) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ExpectWallClockAlone(), testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace millrace
