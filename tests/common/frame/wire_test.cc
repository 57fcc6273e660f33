#include "common/frame/wire.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/frame/checksum.h"

namespace millrace {
namespace {

TEST(WireTest, VarintsRoundTripAtEachLength) {
  for (int bits = 0; bits <= 64; ++bits) {
    const uint64_t value = bits == 0 ? 0 : std::numeric_limits<uint64_t>::max() >> (64 - bits);
    char bytes[wire::kMaxVarintBytes];
    char* const end = wire::StoreVarint(bytes, value);
    EXPECT_EQ(static_cast<size_t>(end - bytes), wire::VarintBytes(value));
    uint64_t read = ~value;
    EXPECT_EQ(wire::LoadVarint(bytes, end, &read), end);
    EXPECT_EQ(read, value);
    EXPECT_EQ(wire::LoadVarint(bytes, end - 1, &read), nullptr) << "cut short, " << bits << " bits";
  }
}

TEST(WireTest, ZigZagKeepsSmallNumbersSmall) {
  EXPECT_EQ(wire::ZigZag(0), 0);
  EXPECT_EQ(wire::ZigZag(-1), 1);
  EXPECT_EQ(wire::ZigZag(1), 2);
  for (int64_t value :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), int64_t{-64}}) {
    EXPECT_EQ(wire::UnZigZag(wire::ZigZag(value)), value);
  }
}

TEST(WireTest, ChecksumIsThatOfZlib) {
  EXPECT_EQ(Crc32(""), 0);
  EXPECT_EQ(Crc32("123456789"), 0xcbf43926);
}

}  // namespace
}  // namespace millrace
