#include "common/escape.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(EscapeControls, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(EscapeControls("x\ny\x1b[31m"), "x\\ny\\x1b[31m");
  EXPECT_EQ(EscapeControls("\r\t\x07\x7f"), "\\r\\t\\x07\\x7f");
  EXPECT_EQ(EscapeControls(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(EscapeControls("\xc2\x9b"
                           "31m"),
            "\\x9b31m");
}

TEST(EscapeControls, LeavesTextAsItIs) {
  EXPECT_EQ(EscapeControls("käse — a\\b `c`\xc2\xa0\xc2"), "käse — a\\b `c`\xc2\xa0\xc2");
}

}  // namespace
}  // namespace millrace
