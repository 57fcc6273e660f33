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

TEST(WithoutPasswordsTest, KeepsAllButPasswordsAndTokens) {
  EXPECT_EQ(WithoutPasswords("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
  EXPECT_EQ(WithoutPasswords("nats://worker:pass@host:4222"), "nats://worker:***@host:4222");
  EXPECT_EQ(WithoutPasswords("tls://token@host"), "tls://***@host");
  EXPECT_EQ(WithoutPasswords("worker:p@ss@host:4222"), "worker:***@host:4222");
  EXPECT_EQ(WithoutPasswords("nats://a:b@x:1,nats://y:2, nats://c:d@z:3"),
            "nats://a:***@x:1,nats://y:2, nats://c:***@z:3");
  EXPECT_EQ(WithoutPasswords(""), "");
}

}  // namespace
}  // namespace millrace
