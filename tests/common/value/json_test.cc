// JSON to value and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using std::string_view_literals::operator""sv;

// The JSON that a text becomes after one way through; the error's text when it is refused.
std::string Through(JsonReader& reader, std::string_view json) {
  if (const absl::Status status = reader.Parse(json); !status.ok()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return status.ToString();
  }
  std::string out;
  const ValueView value{reader.bytes(), reader.is_object() ? kFirstRowShape : kPackedShape, &reader.fields()};
  if (const absl::Status status = AppendJson(value, &out); !status.ok()) return status.ToString();
  return out;
}
std::string Through(std::string_view json) {
  JsonReader reader;
  return Through(reader, json);
}

TEST(JsonTest, ValuesComeBackAsTheyWere) {
  for (const char* json : {
           R"({"b":1,"a":"x","c":null,"d":true,"e":false})",
           R"({"n":{"m":{"l":[1,[2,{"k":[]}],{}]}}})",
           R"([])",
           R"({})",
           R"([{"a":1},{"a":2}])",
           R"("text")",
           R"(null)",
           R"(true)",
           R"(17)",
           R"(-0.0)",
           R"(3.0)",
           R"(0.1)",
           R"([9223372036854775807,-9223372036854775808,18446744073709551615])",
           R"(1.7976931348623157e+308)",
           R"(5e-324)",
           R"(123456789012345.6)",
           R"("\"\\\b\f\n\r\t\u0001\u001f")",
           "\"h\u00e9 \u20ac \U0001F600 \x7f\"",
       }) {
    EXPECT_EQ(Through(json), json);
  }
}

TEST(JsonTest, OtherSpellingsBecomeTheShortOne) {
  const std::pair<const char*, const char*> table[] = {
      {" { \"a\" : [ 1 , 2 ] } ", R"({"a":[1,2]})"},
      {"1.50", "1.5"},
      {"1e3", "1000.0"},
      {"-0", "0"},
      {"1E400e",
       "INVALID_ARGUMENT: not JSON: a malformed number, or one beyond what a double can hold, at byte 0"},
      {"18446744073709551616", "1.8446744073709552e+19"},
      {"-9223372036854775809", "-9.223372036854776e+18"},
      {"100000000000000000000000000", "1e+26"},
      {"1e-400", "0.0"},
      {R"("\u0041\u00e9\ud83d\ude00\/")", "\"A\u00e9\U0001F600/\""},
      {R"({"\u0061":1})", R"({"a":1})"},
  };
  for (const auto& [json, expected] : table) EXPECT_EQ(Through(json), expected) << json;
}

TEST(JsonTest, OfDuplicateNamesTheLastCounts) {
  EXPECT_EQ(Through(R"({"a":1,"b":2,"a":[3]})"), R"({"b":2,"a":[3]})");
  EXPECT_EQ(Through(R"({"o":{"a":1,"b":2,"a":3,"\u0061":4}})"), R"({"o":{"b":2,"a":4}})");
  std::string many = R"({"o":{)";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i % 20) + "\":" + std::to_string(i) + ",";
  many += R"("z":0}})";
  std::string expected = R"({"o":{)";
  for (int i = 80; i < 100; ++i) expected += "\"k" + std::to_string(i % 20) + "\":" + std::to_string(i) + ",";
  EXPECT_EQ(Through(many), expected + R"("z":0}})");
}

TEST(JsonTest, LongContainersKeepTheirItems) {
  for (int size : {15, 16, 17, 65535, 65536, 70000}) {
    std::string array = "[";
    std::string object = R"({"o":{)";
    for (int i = 0; i < size; ++i) {
      if (i > 0) array += ",", object += ",";
      array += std::to_string(i);
      object += "\"f" + std::to_string(i) + "\":" + std::to_string(i);
    }
    EXPECT_EQ(Through(array + "]"), array + "]");
    EXPECT_EQ(Through(object + "}}"), object + "}}");
  }
}

TEST(JsonTest, WhatIsNotJsonIsRefusedWithThePlace) {
  const std::pair<std::string_view, const char*> table[] = {
      {"", "there is nothing, at byte 0"},
      {"   ", "there is nothing, at byte 3"},
      {"{\"a\":1}}", "more behind the end of the value, at byte 7"},
      {"{\"a\":1} {\"b\":2}", "more behind the end of the value, at byte 8"},
      {"[1 2]", "a comma, colon, quote, bracket or value is missing or out of place, at byte 3"},
      {"{\"a\":1e400}", "a malformed number, or one beyond what a double can hold, at byte 5"},
      {"{\"a\":\"\xff\"}", "bytes that are not UTF-8, at byte 6"},
      {"[\"\xc3\"]", "bytes that are not UTF-8, at byte 2"},
      {"\"open", "a string without its closing quote, at byte 5"},
  };
  for (const auto& [json, message] : table) {
    EXPECT_EQ(Through(json), std::string("INVALID_ARGUMENT: not JSON: ") + message) << json;
  }
  for (std::string_view json : {"{"sv,
                                "}"sv,
                                "["sv,
                                "[1,]"sv,
                                "{\"a\":1,}"sv,
                                "{\"a\" 1}"sv,
                                "{a:1}"sv,
                                "{'a':1}"sv,
                                "[1]x"sv,
                                "nul"sv,
                                "nulll"sv,
                                "null1  "sv,
                                "true1  "sv,
                                "falsey "sv,
                                "[truex]"sv,
                                "007"sv,
                                "[01]"sv,
                                "1."sv,
                                ".5"sv,
                                "+1"sv,
                                "[-]"sv,
                                "0x10"sv,
                                "NaN"sv,
                                "[Infinity]"sv,
                                "1 2"sv,
                                "\"a\nb\""sv,
                                "\"\\x\""sv,
                                "\"\\u12\""sv,
                                "\"\\ud800\""sv,
                                "\"\\udc00\""sv,
                                "\"\\ud800\\u0041\""sv,
                                "{\"\\udfff\":1}"sv,
                                "[\"a\0b\"]"sv,
                                "[1]\0"sv,
                                "{\"a\":}"sv,
                                "{:1}"sv,
                                "{\"a\":[}"sv,
                                "[{]}"sv}) {
    EXPECT_TRUE(Through(json).starts_with("INVALID_ARGUMENT")) << json << " became " << Through(json);
  }
}

TEST(JsonTest, NestingGoesToTheLimitAndNotBeyond) {
  const auto arrays = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  const auto objects = [](size_t depth) {
    std::string json;
    for (size_t i = 0; i < depth; ++i) json += "{\"a\":";
    return json + "1" + std::string(depth, '}');
  };
  EXPECT_EQ(Through(arrays(kMaxPackDepth)), arrays(kMaxPackDepth));
  EXPECT_EQ(Through(objects(kMaxPackDepth)), objects(kMaxPackDepth));
  EXPECT_THAT(Through(arrays(kMaxPackDepth + 1)), testing::HasSubstr("nested too deep"));
  EXPECT_THAT(Through(objects(kMaxPackDepth + 1)), testing::HasSubstr("nested too deep"));
  EXPECT_TRUE(Through(std::string(100'000, '[')).starts_with("INVALID_ARGUMENT"));
}

TEST(JsonTest, RowsHaveALimitOfFields) {
  const auto object = [](size_t fields) {
    std::string json = "{";
    for (size_t i = 0; i < fields; ++i) json += (i > 0 ? ",\"f" : "\"f") + std::to_string(i) + "\":0";
    return json + "}";
  };
  EXPECT_EQ(Through(object(kMaxShapeFields)), object(kMaxShapeFields));
  EXPECT_THAT(Through(object(kMaxShapeFields + 1)), testing::HasSubstr("too many fields"));
}

TEST(JsonTest, AReaderCarriesNothingFromRecordToRecord) {
  JsonReader reader;
  EXPECT_EQ(Through(reader, R"({"a":1,"b":"x"})"), R"({"a":1,"b":"x"})");
  EXPECT_EQ(Through(reader, R"({"a":2,"b":"y"})"), R"({"a":2,"b":"y"})");
  EXPECT_EQ(Through(reader, R"({"a":2})"), R"({"a":2})");
  EXPECT_TRUE(Through(reader, R"({"a":2,"c":)").starts_with("INVALID_ARGUMENT"));
  EXPECT_FALSE(reader.is_object());
  EXPECT_EQ(Through(reader, R"([1])"), "[1]");
  EXPECT_FALSE(reader.is_object());
  EXPECT_EQ(Through(reader, R"({"b":1,"a":2})"), R"({"b":1,"a":2})");
  EXPECT_EQ(Through(reader, R"({})"), "{}");
}

TEST(JsonTest, RandomDoublesReadBackTheSame) {
  std::mt19937_64 random(11);
  JsonReader reader;
  for (int i = 0; i < 20000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    std::string packed;
    PackWriter(&packed).Double(value);
    std::string json;
    ASSERT_TRUE(AppendPackedJson(packed, &json).ok());
    ASSERT_TRUE(reader.Parse(json).ok()) << json;
    EXPECT_EQ(reader.bytes(), packed) << json;
  }
}

TEST(KeyTextTest, IsTheTextAsItWasWritten) {
  JsonReader reader;
  ASSERT_TRUE(
      reader
          .Parse(
              R"({"s":"a\u0062","d":1.50 ,"i": 12,"e":1E3,"m":-0,"t":true,"f":false,"n":null,"o":{},"l":[1],
      "x.y":"dotted","x":{"y":"below","z":{"k":2.00 ,"s":"\u00e9","n":null}},"x.q":null,"dup":1,"dup":"last"})")
          .ok());
  const std::pair<const char*, std::optional<std::string_view>> table[] = {
      {"s", "ab"},
      {"d", "1.50"},
      {"i", "12"},
      {"e", "1E3"},
      {"m", "-0"},
      {"t", "true"},
      {"f", "false"},
      {"n", std::nullopt},
      {"o", std::nullopt},
      {"l", std::nullopt},
      {"x.y", "dotted"},
      {"x.z.k", "2.00"},
      {"x.z.s", "\u00e9"},
      {"x.z.n", std::nullopt},
      {"x.z", std::nullopt},
      {"x.q", std::nullopt},
      {"x.none", std::nullopt},
      {"s.a", std::nullopt},
      {"", std::nullopt},
      {"dup", "last"},
  };
  for (const auto& [path, expected] : table) EXPECT_EQ(reader.KeyText(path), expected) << path;
}

TEST(FindFieldTest, FindsInRowsAndMaps) {
  JsonReader reader;
  ASSERT_TRUE(reader.Parse(R"({"a":1,"o":{"p":{"q":[5]},"r":null},"x.y":2,"x":{"y":3,"z":4}})").ok());
  const ValueView row{reader.bytes(), kFirstRowShape, &reader.fields()};
  const auto find = [](const ValueView& value, std::string_view path) -> std::string {
    const std::optional<std::string_view> found = FindField(value, path);
    std::string json;
    if (!found.has_value()) return "none";
    return AppendPackedJson(*found, &json).ok() ? json : "malformed";
  };
  EXPECT_EQ(find(row, "a"), "1");
  EXPECT_EQ(find(row, "o"), R"({"p":{"q":[5]},"r":null})");
  EXPECT_EQ(find(row, "o.p.q"), "[5]");
  EXPECT_EQ(find(row, "o.r"), "null");
  EXPECT_EQ(find(row, "x.y"), "2");
  EXPECT_EQ(find(row, "x.z"), "4");
  for (const char* path : {"b", "", "a.b", "o.p.q.r", "o.none", "."})
    EXPECT_EQ(find(row, path), "none") << path;

  const ValueView map{*FindField(row, "o"), kPackedShape, nullptr};
  EXPECT_EQ(find(map, "p.q"), "[5]");
  EXPECT_EQ(find(map, "a"), "none");
  EXPECT_EQ(find({"{}", kRawShape, nullptr}, "a"), "none");
}

TEST(FindFieldTest, MalformedBytesGiveNothing) {
  const FieldNames fields = {"a", "b", "c"};
  for (std::string_view bytes : {""sv, "\x01"sv, "\x01\xa5xy"sv, "\x01\xc1\x02"sv, "\x81\xa1k\x01"sv}) {
    const std::optional<std::string_view> found = FindField({bytes, kFirstRowShape, &fields}, "c");
    EXPECT_EQ(found, std::nullopt);
    FindField({bytes, kPackedShape, nullptr}, "c.d");
  }
}

TEST(AppendJsonTest, WhatJsonCannotHoldIsRefusedAndLeavesNothingBehind) {
  std::string out = "before";
  const FieldNames fields = {"a", "b"};
  const FieldNames bad_name = {"\xff"};
  const ValueView values[] = {
      {"\xff", kRawShape, nullptr},  // not UTF-8
      {"\x92\x01\xa1\xff", kPackedShape, nullptr},
      {"", kPackedShape, nullptr},              // nothing
      {"\x01\x02", kPackedShape, nullptr},      // two values
      {"\x81\xc0\x01", kPackedShape, nullptr},  // a map with null for a key
      {"\x01", kFirstRowShape, &fields},        // a column missing
      {"\x01\x02\x03", kFirstRowShape, &fields},
      {"\x01", kFirstRowShape, &bad_name},
  };
  for (const ValueView& value : values) {
    EXPECT_EQ(AppendJson(value, &out).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(out, "before");
  }
}

TEST(AppendJsonTest, RawTextIsAStringAndNumbersThatAreNoneAreNull) {
  std::string out;
  ASSERT_TRUE(AppendJson({"a\"\n\u20ac", kRawShape, nullptr}, &out).ok());
  EXPECT_EQ(out, "\"a\\\"\\n\u20ac\"");
  std::string packed;
  PackWriter writer(&packed);
  writer.Map(3);
  writer.Int(-7);
  writer.Double(std::numeric_limits<double>::quiet_NaN());
  writer.Double(1.5);
  writer.Double(-std::numeric_limits<double>::infinity());
  writer.String("b");
  writer.Binary("bytes");
  out.clear();
  ASSERT_TRUE(AppendPackedJson(packed, &out).ok());
  EXPECT_EQ(out, R"({"-7":null,"1.5":null,"b":"bytes"})");
}

TEST(Utf8Test, TellsTextFromBytes) {
  for (std::string_view good :
       {""sv, "plain"sv, "\u00e9"sv, "\xf4\x8f\xbf\xbf"sv, "0123456789\u20ac"sv, "\0"sv}) {
    EXPECT_TRUE(IsValidUtf8(good)) << good;
  }
  for (std::string_view bad :
       {"\xff"sv, "\xc3"sv, "\xc0\x80"sv, "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "01234567\x80"sv}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
  EXPECT_EQ(Base64("\xff\x00\x10"sv), "/wAQ");
  EXPECT_EQ(Base64("a"), "YQ==");
}

TEST(JsonReaderTest, RefusesALongNumberThatEndsInSomethingElse) {
  JsonReader reader;
  EXPECT_FALSE(reader.Parse("-4277772772727771363*").ok());
  EXPECT_FALSE(reader.Parse(R"({"a":4277772772727771363*})").ok());
  EXPECT_TRUE(reader.Parse("-4277772772727771363").ok());
  for (const char* sign : {"-", "+", "-1"}) {
    EXPECT_FALSE(reader.Parse(StrCat("14109999999999999991", sign)).ok()) << sign;
    EXPECT_FALSE(reader.Parse(StrCat("[14109999999999999991", sign, "]")).ok()) << sign;
  }
  EXPECT_TRUE(reader.Parse("14109999999999999991").ok());
}

}  // namespace
}  // namespace millrace
