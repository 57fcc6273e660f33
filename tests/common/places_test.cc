#include "common/places.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(Places, GivesOutNoMoreThanThereAre) {
  Places places(2);
  Places::Place first = places.Take();
  const Places::Place second = places.Take();
  EXPECT_NE(first, nullptr);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(places.Take(), nullptr);
  EXPECT_EQ(places.Take(), nullptr);
  Places::Place copy = first;
  first.reset();
  EXPECT_EQ(places.Take(), nullptr);
  copy.reset();
  EXPECT_NE(places.Take(), nullptr);
}

}  // namespace
}  // namespace millrace
