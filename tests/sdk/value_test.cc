// What handlers in C++ read and write: the headers of sdk/cpp alone, nothing of Millrace beside them.
#include <gtest/gtest.h>
#include <millrace/packed.h>
#include <millrace/value.h>

#include <cstdint>
#include <limits>
#include <string>

namespace millrace {
namespace {

TEST(PackedTest, IntegersComeBackAtEveryWidth) {
  for (const int64_t edge :
       {int64_t{0}, int64_t{32}, int64_t{128}, int64_t{256}, int64_t{32768}, int64_t{65536}, int64_t{1} << 31,
        int64_t{1} << 32, std::numeric_limits<int64_t>::max() - 1}) {
    for (const int64_t value : {edge - 1, edge, edge + 1, -edge, -edge - 1, -edge + 1}) {
      EXPECT_EQ(Packed(value).value().Int(), value);
    }
  }
  const Packed unsigned_only(uint64_t{1} << 63);
  EXPECT_THROW(static_cast<void>(unsigned_only.value().Int()), Error);
  EXPECT_EQ(unsigned_only.value().Number(), 9223372036854775808.0);
}

TEST(PackedTest, TextAndBytesComeBackAtEveryLength) {
  for (const size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    const std::string text(size, 'x');
    EXPECT_EQ(Packed(text).value().String(), text);
    EXPECT_EQ(Packed(Bytes(text)).value().AsBytes(), text);
    EXPECT_EQ(Packed(Bytes(text)).value().type(), Value::Type::kBytes);
  }
}

TEST(PackedTest, ObjectsAndListsNest) {
  const Packed packed = Map("a", 1, "b", List(true, "x", Map("c", nullptr)), "d", 2.5);
  const Value value = packed.value();
  EXPECT_EQ(value.size(), 3u);
  EXPECT_EQ(value["a"].Int(), 1);
  EXPECT_EQ(value["d"].Number(), 2.5);
  EXPECT_TRUE(value["missing"].is_nil());
  EXPECT_TRUE(value["missing"]["deeper"].is_nil());
  std::string types;
  value["b"].ForEachItem([&](const Value& item) { types += std::to_string(static_cast<int>(item.type())); });
  EXPECT_EQ(types, "147");
  EXPECT_EQ(Packed(value).bytes(), packed.bytes());
  EXPECT_EQ(Packed(value["b"]).value().size(), 3u);
}

TEST(PackedTest, AListMayBeLong) {
  ListWriter list;
  for (int i = 0; i < 70000; ++i) list.Add(i);
  const Packed packed = list.Done();
  int64_t sum = 0;
  packed.value().ForEachItem([&](const Value& item) { sum += item.Int(); });
  EXPECT_EQ(packed.value().size(), 70000u);
  EXPECT_EQ(sum, int64_t{70000} * 69999 / 2);
}

TEST(ValueTest, ARowIsAnObject) {
  const std::string values = std::string(Packed(1).bytes()) + std::string(Packed("z").bytes());
  const millrace_bytes names[] = {{"a", 1}, {"b", 1}};
  const Value row = Value::OfRow(values, names, 2);
  EXPECT_EQ(row.type(), Value::Type::kMap);
  EXPECT_EQ(row.size(), 2u);
  EXPECT_EQ(row["b"].String(), "z");
  EXPECT_EQ(Packed(row).bytes(), Map("a", 1, "b", "z").bytes());
}

TEST(ValueTest, ALineIsBytes) {
  const Value line = Value::OfRaw("a line");
  EXPECT_EQ(line.type(), Value::Type::kBytes);
  EXPECT_EQ(line.AsBytes(), "a line");
  EXPECT_THROW(static_cast<void>(line["field"]), Error);
}

TEST(ValueTest, SaysWhichTypeThereIsInstead) {
  try {
    static_cast<void>(Packed("text").value().Int());
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "expected an integer, got a string");
  }
  EXPECT_EQ(Packed(7).value().Number(), 7.0);
  EXPECT_EQ(Value().IntOr(3), 3);
  EXPECT_THROW(static_cast<void>(Packed("text").value().IntOr(3)), Error);
}

TEST(ValueTest, WhatEndsTooSoonIsAnError) {
  const Packed whole = Map("name", List(1, "three", 2.5));
  for (size_t size = 1; size < whole.bytes().size(); ++size) {
    const std::string part(whole.bytes().substr(0, size));
    EXPECT_THROW(Packed(Value::OfPacked(part)).value().size(), Error) << size;
  }
}

}  // namespace
}  // namespace millrace
