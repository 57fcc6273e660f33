#include "common/bus/nats_names.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(NatsNames, NumbersAreTakenOneByOne) {
  std::string_view text = "12.345.x";
  uint64_t number = 0;
  EXPECT_TRUE(TakeNumber(&text, &number));
  EXPECT_EQ(number, 12u);
  EXPECT_TRUE(TakeNumber(&text, &number));
  EXPECT_EQ(number, 345u);
  EXPECT_FALSE(TakeNumber(&text, &number));
  for (std::string_view wrong : {"", ".1", "12x.1", "99999999999999999999"}) {
    EXPECT_FALSE(TakeNumber(&wrong, &number)) << wrong;
  }
}

TEST(NatsNames, AConsumersNameTellsReaderAndAttempt) {
  uint64_t reader = 0, attempt = 0;
  EXPECT_TRUE(ParseConsumer("view-mr-jobs-a1b2-7-31", &reader, &attempt));
  EXPECT_EQ(reader, 7u);
  EXPECT_EQ(attempt, 31u);
  for (const std::string_view wrong : {"", "-", "7-31", "p-x-31", "p-7-", "p--31"}) {
    EXPECT_FALSE(ParseConsumer(wrong, &reader, &attempt)) << wrong;
  }
}

}  // namespace
}  // namespace millrace
