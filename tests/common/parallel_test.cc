#include "common/parallel.h"

#include <atomic>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ParallelFor, DoesEachOnce) {
  std::vector<std::atomic<int>> calls(100);
  EXPECT_TRUE(ParallelFor(calls.size(), 8, [&](size_t i) {
                ++calls[i];
                return absl::OkStatus();
              }).ok());
  for (const auto& n : calls) EXPECT_EQ(n, 1);
  EXPECT_TRUE(ParallelFor(0, 8, [](size_t) { return absl::InternalError("called"); }).ok());
}

TEST(ParallelFor, AsksSeveralAtOnce) {
  absl::Barrier* const all_here = new absl::Barrier(4);
  EXPECT_TRUE(ParallelFor(4, 4, [&](size_t) {
                if (all_here->Block()) delete all_here;
                return absl::OkStatus();
              }).ok());
}

TEST(ParallelFor, BeginsNothingAfterAnError) {
  int calls = 0;
  const absl::Status status = ParallelFor(10, 1, [&](size_t i) {
    ++calls;
    return i == 2 ? absl::NotFoundError("two") : absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace millrace
