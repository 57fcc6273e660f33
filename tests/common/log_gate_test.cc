#include "common/log_gate.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(LogGate, SaysTheSameOnceInAWhileAndHowOftenItWasKeptBack) {
  LogGate gate({.same = absl::Seconds(30), .any = absl::Seconds(1)});
  EXPECT_EQ(gate.Pass("denied", absl::ZeroDuration()), 0u);
  EXPECT_EQ(gate.Pass("denied", absl::Seconds(1)), std::nullopt);
  EXPECT_EQ(gate.Pass("denied", absl::Seconds(29)), std::nullopt);
  EXPECT_EQ(gate.Pass("denied", absl::Seconds(30)), 2u);
}

TEST(LogGate, SaysSomethingElseSooner) {
  LogGate gate({.same = absl::Seconds(30), .any = absl::Seconds(1)});
  EXPECT_EQ(gate.Pass("denied", absl::ZeroDuration()), 0u);
  EXPECT_EQ(gate.Pass("slow", absl::Milliseconds(500)), std::nullopt);
  EXPECT_EQ(gate.Pass("slow", absl::Seconds(1)), 1u);
}

}  // namespace
}  // namespace millrace
