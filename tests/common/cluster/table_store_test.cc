// A job's tables on the broker: whole or not there, whoever is cut off.
#include "common/cluster/table_store.h"

#include <gtest/gtest.h>

#include <string>

#include "common/hash/sha256.h"
#include "common/names.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

class TableStoreTest : public testing::Test {
 protected:
  TableStoreTest() {
    StreamConfig config;
    config.name = TableStream("j");
    config.subjects = {TableSubjects("j")};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  static CodeFile FileOf(const std::string& text) { return {"t.csv", text.size(), Hex(Sha256Of(text))}; }
  uint64_t Messages() { return bus_->GetStream(TableStream("j"))->messages; }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const std::string large_ = std::string(kTableChunkBytes, 'a') + std::string(kTableChunkBytes, 'b') + "c";
};

TEST_F(TableStoreTest, WhatWasPutIsFoundByItsContent) {
  for (const std::string& text : {std::string(), std::string("x"), large_}) {
    ASSERT_TRUE(PutTable(*bus_, "j", FileOf(text), text).ok());
    const auto found = GetTable(*bus_, "j", FileOf(text));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, text);
  }
}

TEST_F(TableStoreTest, ASecondPutOfTheSameAddsNothing) {
  ASSERT_TRUE(PutTable(*bus_, "j", FileOf(large_), large_).ok());
  const uint64_t messages = Messages();
  ASSERT_TRUE(PutTable(*bus_, "j", FileOf(large_), large_).ok());
  EXPECT_EQ(Messages(), messages);
}

TEST_F(TableStoreTest, APutThatWasCutOffIsNotThereAndIsMadeWholeByTheNext) {
  AppendRequest half;
  const std::string subject = TableDataSubject("j");
  half.subject = subject;
  half.payload = "aaa";
  ASSERT_TRUE(bus_->AppendAndWait(half).ok());
  EXPECT_EQ(GetTable(*bus_, "j", FileOf(large_)).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(PutTable(*bus_, "j", FileOf(large_), large_).ok());
  EXPECT_EQ(GetTable(*bus_, "j", FileOf(large_)).value(), large_);
}

TEST_F(TableStoreTest, WithoutAStreamThereIsNoneYet) {
  EXPECT_EQ(GetTable(*bus_, "other", FileOf("x")).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(TableStoreTest, OtherContentUnderItsNameIsDataLoss) {
  ASSERT_TRUE(PutTable(*bus_, "j", FileOf("x"), "y").ok());
  EXPECT_EQ(GetTable(*bus_, "j", FileOf("x")).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace millrace
