#include "common/check.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(CheckDeathTest, StopsAtWhatDoesNotHoldInTheBuildThatTestsRunIn) {
  const int offset = 3;
  MILLRACE_CHECK(offset > 2);
  EXPECT_DEATH(MILLRACE_CHECK(offset > 3), "check_test.cc.*must hold and does not: offset > 3");
}

}  // namespace
}  // namespace millrace
