#include "common/bus/replicas.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(Replicas, AreOddAndFew) {
  for (const int64_t good : {1, 3, 5}) EXPECT_TRUE(CheckReplicas(good).ok()) << good;
  for (const int64_t bad : {-1, 0, 2, 4, 6, 1'000'000}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckReplicas(bad))) << bad;
  }
}

}  // namespace
}  // namespace millrace
