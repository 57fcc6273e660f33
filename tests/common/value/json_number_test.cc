#include "common/value/json_number.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(JsonNumberTest, TellsIntegersFromOtherNumbersAndFromText) {
  for (const char* text : {"0", "-0", "7", "-12", "18446744073709551616"}) {
    EXPECT_EQ(ClassifyNumber(text), JsonNumber::kInteger) << text;
  }
  for (const char* text : {"0.5", "-1.25", "1e3", "1E+3", "12.5e-7"}) {
    EXPECT_EQ(ClassifyNumber(text), JsonNumber::kOther) << text;
  }
  for (const char* text : {"", "-", "+1", "01", "-01", ".5", "1.", "1e", "1e+", "0x1", " 1", "1 ", "NaN"}) {
    EXPECT_EQ(ClassifyNumber(text), JsonNumber::kNone) << text;
  }
}

}  // namespace
}  // namespace millrace
