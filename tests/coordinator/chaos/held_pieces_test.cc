#include "coordinator/chaos/held_pieces.h"

#include <gtest/gtest.h>

namespace millrace::chaos {
namespace {

LinkTime AtMs(int64_t ms) { return LinkTime(std::chrono::milliseconds(ms)); }

TEST(HeldPieces, APieceNeverGoesBeforeTheOneThatCameBeforeIt) {
  HeldPieces held;
  held.Add("slow", AtMs(100));
  held.Add("fast", AtMs(50));
  EXPECT_EQ(held.Take(), "slow");
  EXPECT_EQ(held.next_due(), AtMs(100));
  EXPECT_EQ(held.bytes(), 4u);
}

TEST(HeldPieces, AShareIsTakenFromTheFrontAndTheRestStays) {
  HeldPieces held;
  held.Add("one ", AtMs(1));
  held.Add("two ", AtMs(900));
  EXPECT_EQ(held.TakeShare(0.75, AtMs(5)), "one tw");
  EXPECT_EQ(held.bytes(), 2u);
  EXPECT_EQ(held.next_due(), AtMs(5));
  EXPECT_EQ(held.TakeShare(1, AtMs(6)), "o ");
  EXPECT_TRUE(held.empty());
}

TEST(HeldPieces, ANeedleIsFoundAcrossPieces) {
  HeldPieces held;
  held.Add("xxab", AtMs(1));
  held.Add("cabc", AtMs(1));
  EXPECT_EQ(held.Count("abc"), 2);
  EXPECT_EQ(CountOf("aaaa", "aa"), 2);
}

}  // namespace
}  // namespace millrace::chaos
