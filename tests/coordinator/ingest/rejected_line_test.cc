#include "coordinator/ingest/rejected_line.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(RejectedLine, IsReadBack) {
  RejectedLine line;
  line.job = "j";
  line.uid = "u1";
  line.writer = "add-1";
  line.position = 17;
  line.text = "{\xff";
  line.text_bytes = line.text.size();
  line.error = "not JSON: `{\xff`";
  line.number = 3;
  const auto mark = DecodeRejectedLine("u1", "add-1", EncodeRejectedLine(line));
  ASSERT_TRUE(mark.has_value());
  EXPECT_EQ(mark->position, 17u);
  EXPECT_EQ(mark->number, 3u);
  EXPECT_FALSE(DecodeRejectedLine("u2", "add-1", EncodeRejectedLine(line)).has_value());
  EXPECT_FALSE(DecodeRejectedLine("u1", "in", EncodeRejectedLine(line)).has_value());
  line.writer = "add-10";
  EXPECT_FALSE(DecodeRejectedLine("u1", "add-1", EncodeRejectedLine(line)).has_value());
}

// Anybody may publish on the dead letters' subject.
TEST(RejectedLine, WhatSomebodyElsePutThereIsPassedOver) {
  for (const char* letter :
       {"", "no json", "[]", "7", R"({"uid":1})", R"({"uid":{"a":1},"id":"in.1"})", R"({"uid":"u1","id":7})",
        R"({"uid":"u1","id":null,"offset":1,"number":1})",
        R"({"uid":"u1","id":"in.1","offset":"1","number":1})",
        R"({"uid":"u1","id":"in.1","offset":-1,"number":1})", R"({"uid":"u1","id":"in.1"})"}) {
    EXPECT_FALSE(DecodeRejectedLine("u1", "in", letter).has_value()) << letter;
  }
}

}  // namespace
}  // namespace millrace
