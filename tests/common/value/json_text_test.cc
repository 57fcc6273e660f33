#include "common/value/json_text.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using std::string_view_literals::operator""sv;

TEST(JsonText, WritesWhatIsNoUtf8InsteadOfThrowing) {
  EXPECT_EQ(JsonText(nlohmann::json{{"error", "no job `\xff`"}}), "{\"error\":\"no job `\uFFFD`\"}");
  EXPECT_EQ(JsonText(nlohmann::json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

TEST(JsonText, BytesComeBackAsTheyWerePut) {
  for (const std::string_view bytes : {""sv, "plain"sv, "\u00e9"sv, "\xff\x00z"sv}) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    PutBytes(object, "key", bytes);
    EXPECT_EQ(object.contains("key"), IsValidUtf8(bytes));
    EXPECT_EQ(TakeBytes(nlohmann::ordered_json::parse(JsonText(object)), "key"), bytes);
  }
}

TEST(JsonText, BytesOfAnotherFormAreNone) {
  for (const char* text : {"{}", R"({"key":7})", R"({"key_base64":7})", R"({"key_base64":"?"})"}) {
    EXPECT_EQ(TakeBytes(nlohmann::json::parse(text), "key"), std::nullopt) << text;
  }
}

TEST(Shorten, CutsNoCharacterInTwo) {
  EXPECT_EQ(Shorten("abc", 3), "abc");
  EXPECT_EQ(Shorten("abcd", 3), "abc");
  EXPECT_EQ(Shorten("ab\u00e9", 3), "ab");
  EXPECT_EQ(Shorten("ab\u00e9c", 4), "ab\u00e9");
  EXPECT_EQ(Shorten("a\U0001F600", 4), "a");
  EXPECT_EQ(Shorten("\u00e9", 1), "");
  EXPECT_EQ(Shorten("abc", 0), "");
}

TEST(Shorten, CutsBytesThatAreNoTextWhereItIsTold) {
  EXPECT_EQ(Shorten("\x80\x80\x80\x80\x80\x80", 5), "\x80\x80\x80\x80\x80");
}

}  // namespace
}  // namespace millrace
