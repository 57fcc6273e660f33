#include "common/value/msgpack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace millrace {
namespace {

using Type = PackToken::Type;
using std::string_view_literals::operator""sv;

template <typename Write>
std::string Packed(Write write) {
  std::string bytes;
  PackWriter writer(&bytes);
  write(writer);
  return bytes;
}
std::string PackedInt(int64_t value) {
  return Packed([value](PackWriter& w) { w.Int(value); });
}

TEST(MsgPackTest, IntegersTakeTheShortestForm) {
  EXPECT_EQ(PackedInt(0), "\0"sv);
  EXPECT_EQ(PackedInt(127), "\x7f"sv);
  EXPECT_EQ(PackedInt(128), "\xcc\x80"sv);
  EXPECT_EQ(PackedInt(256), "\xcd\x01\x00"sv);
  EXPECT_EQ(PackedInt(65536), "\xce\x00\x01\x00\x00"sv);
  EXPECT_EQ(PackedInt(int64_t{1} << 32), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"sv);
  EXPECT_EQ(PackedInt(-1), "\xff"sv);
  EXPECT_EQ(PackedInt(-32), "\xe0"sv);
  EXPECT_EQ(PackedInt(-33), "\xd0\xdf"sv);
  EXPECT_EQ(PackedInt(-129), "\xd1\xff\x7f"sv);
  EXPECT_EQ(PackedInt(-32769), "\xd2\xff\xff\x7f\xff"sv);
  EXPECT_EQ(PackedInt(-2147483649), "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"sv);
}

TEST(MsgPackTest, IntegersRoundTripAroundEachPowerOfTwo) {
  for (int bit = 0; bit < 64; ++bit) {
    for (uint64_t around : {uint64_t{0}, uint64_t{1}, std::numeric_limits<uint64_t>::max()}) {
      const auto value = static_cast<int64_t>((uint64_t{1} << bit) + around);
      for (int64_t number : {value, static_cast<int64_t>(0 - static_cast<uint64_t>(value))}) {
        const std::string bytes = PackedInt(number);
        PackReader reader(bytes);
        PackToken token;
        ASSERT_TRUE(reader.Next(&token));
        EXPECT_EQ(token.type, Type::kInt);
        EXPECT_EQ(token.integer, number);
        EXPECT_TRUE(reader.done());
      }
    }
  }
  const std::string bytes = Packed([](PackWriter& w) { w.Uint(std::numeric_limits<uint64_t>::max()); });
  PackReader reader(bytes);
  PackToken token;
  ASSERT_TRUE(reader.Next(&token));
  EXPECT_EQ(token.type, Type::kUint);
  EXPECT_EQ(token.unsigned_integer, std::numeric_limits<uint64_t>::max());
}

TEST(MsgPackTest, TextAndContainersOfEachLengthClass) {
  for (size_t size : {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536}) {
    const std::string text(size, 'x');
    const std::string bytes = Packed([&](PackWriter& w) {
      w.Array(3);
      w.String(text);
      w.Binary(text);
      w.Array(static_cast<uint32_t>(size));
      for (size_t i = 0; i < size; ++i) w.Nil();
    });
    PackReader reader(bytes);
    PackToken token;
    ASSERT_TRUE(reader.Next(&token));
    ASSERT_TRUE(reader.Next(&token));
    EXPECT_EQ(token.type, Type::kString);
    EXPECT_EQ(token.text, text);
    ASSERT_TRUE(reader.Next(&token));
    EXPECT_EQ(token.type, Type::kBinary);
    EXPECT_EQ(token.text, text);
    ASSERT_TRUE(reader.Next(&token));
    EXPECT_EQ(token.count, size);
    PackReader skipper(bytes);
    EXPECT_TRUE(skipper.Skip());
    EXPECT_TRUE(skipper.done());
  }
  const std::string map = Packed([](PackWriter& w) {
    w.Map(70000);
    for (int i = 0; i < 140000; ++i) w.Bool(true);
  });
  PackReader reader(map);
  EXPECT_TRUE(reader.Skip());
  EXPECT_TRUE(reader.done());
}

TEST(MsgPackTest, DoublesKeepTheirBits) {
  for (double value :
       {0.0, -0.0, 0.1, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::denorm_min()}) {
    const std::string bytes = Packed([value](PackWriter& w) { w.Double(value); });
    EXPECT_EQ(bytes.size(), 9);
    PackReader reader(bytes);
    PackToken token;
    ASSERT_TRUE(reader.Next(&token));
    EXPECT_EQ(token.real, value);
    EXPECT_EQ(std::signbit(token.real), std::signbit(value));
  }
}

TEST(MsgPackTest, FormsThatOthersWriteAreRead) {
  PackToken token;
  PackReader narrow("\xca\x3f\xc0\x00\x00"sv);  // 1.5 as float 32
  ASSERT_TRUE(narrow.Next(&token));
  EXPECT_EQ(token.real, 1.5);
  PackReader wide("\xd3\x00\x00\x00\x00\x00\x00\x00\x05"sv);  // 5 in 64 bits
  ASSERT_TRUE(wide.Next(&token));
  EXPECT_EQ(token.integer, 5);
}

TEST(MsgPackTest, MalformedBytesAreRefused) {
  for (std::string_view bytes :
       {"\xc1"sv, "\xc7\x01\x01\x01"sv, "\xd4\x01\x01"sv,  // never used; extensions
        "\xcc"sv, "\xcd\x01"sv, "\xcb\x00\x00"sv,          // cut short
        "\xa3xy"sv, "\xd9\x05xy"sv, "\xdb\xff\xff\xff\xffx"sv, "\xc6\xff\xff\xff\xffx"sv, "\x91"sv,
        "\x81\x01"sv, "\xdd\xff\xff\xff\xff\x01"sv, "\xdf\x7f\xff\xff\xff\x01\x01"sv}) {
    PackReader skipper(bytes);
    EXPECT_FALSE(skipper.Skip());
    EXPECT_TRUE(skipper.failed());
    PackReader reader(bytes);
    PackToken token;
    EXPECT_FALSE(reader.Next(&token));
    EXPECT_TRUE(reader.failed());
  }
}

TEST(MsgPackTest, TheEndIsNoFailureOfNextButOneOfSkip) {
  PackReader reader("");
  PackToken token;
  EXPECT_FALSE(reader.Next(&token));
  EXPECT_FALSE(reader.failed());
  EXPECT_FALSE(reader.Skip());
  EXPECT_TRUE(reader.failed());
}

TEST(MsgPackTest, SkipGoesToTheDepthLimitAndNotBeyond) {
  const auto nested = [](int depth) { return std::string(static_cast<size_t>(depth), '\x91') + "\xc0"; };
  const std::string deepest = nested(kMaxPackDepth);
  PackReader reader(deepest);
  EXPECT_TRUE(reader.Skip());
  EXPECT_TRUE(reader.done());
  const std::string too_deep = nested(kMaxPackDepth + 1);
  PackReader beyond(too_deep);
  EXPECT_FALSE(beyond.Skip());
}

TEST(MsgPackTest, SkipPassesOverExactlyOneValue) {
  const std::string bytes = "\x82\xa1k\x92\x01\x02\xa1l\x80\x07";
  PackReader reader(bytes);
  EXPECT_TRUE(reader.Skip());
  EXPECT_EQ(reader.position(), bytes.data() + bytes.size() - 1);
  EXPECT_TRUE(reader.Skip());
  EXPECT_TRUE(reader.done());
}

TEST(MsgPackTest, RandomBytesNeverReadOutOfBounds) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 24, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    PackReader reader(bytes);
    PackToken token;
    while (reader.Next(&token)) {
    }
    PackReader skipper(bytes);
    while (!skipper.done() && skipper.Skip()) {
    }
    EXPECT_LE(skipper.position(), bytes.data() + bytes.size());
  }
}

}  // namespace
}  // namespace millrace
