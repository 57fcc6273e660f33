#include <gtest/gtest.h>

// As users' builds have it, whatever build this is. The file is compiled by itself.
#include "common/build_config.h"
#undef MILLRACE_TEST_HOOKS
#define MILLRACE_TEST_HOOKS 0
#undef NDEBUG
#define NDEBUG
#include "common/check.h"

namespace millrace {
namespace {

TEST(CheckInReleaseTest, DoesWhatStandsInTheConditionAndGoesOnWhereItDoesNotHold) {
  int times = 0;
  const auto is_done = [&] { return ++times > 2; };
  MILLRACE_CHECK(is_done());
  MILLRACE_CHECK(is_done());
  EXPECT_EQ(times, 2);
}

}  // namespace
}  // namespace millrace
