#include "coordinator/leader/owner_history.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;

TEST(OwnerHistory, KnowsTheLastOwnerAndTheOneBefore) {
  OwnerHistory history;
  history.Observe({{"j", "u", false, {"w1", "w2", ""}}});
  EXPECT_THAT(history.last().at("u"), ElementsAre("w1", "w2", ""));
  EXPECT_THAT(history.before().at("u"), ElementsAre("", "", ""));
  for (int i = 0; i < 2; ++i) history.Observe({{"j", "u", false, {"w1", "w1", "w3"}}});
  EXPECT_THAT(history.last().at("u"), ElementsAre("w1", "w1", "w3"));
  EXPECT_THAT(history.before().at("u"), ElementsAre("", "w2", ""));
}

TEST(OwnerHistory, WhatNobodyHasStaysWithItsLastOwner) {
  OwnerHistory history;
  history.Observe({{"j", "u", false, {"w1"}}});
  history.Observe({{"j", "u", false, {""}}});
  EXPECT_THAT(history.last().at("u"), ElementsAre("w1"));
  EXPECT_THAT(history.before().at("u"), ElementsAre(""));
}

TEST(OwnerHistory, ForgetsJobsThatAreOver) {
  OwnerHistory history;
  history.Observe({{"j", "u", false, {"w1"}}, {"k", "v", false, {"w2"}}});
  history.Keep({{"k", "v", false, {""}}});
  EXPECT_EQ(history.last().size(), 1u);
  EXPECT_THAT(history.last().at("v"), ElementsAre("w2"));
  EXPECT_EQ(history.before().count("u"), 0u);
}

}  // namespace
}  // namespace millrace
