#include <string>

#include "common/pipeline/csv_reader.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/value/value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::HasSubstr;

JobSpec Spec(Format format, std::vector<std::string> key_paths) {
  JobSpec spec;
  spec.source.format = format;
  spec.key.kind = key_paths.empty()       ? KeySpec::Kind::kWhole
                  : key_paths.size() == 1 ? KeySpec::Kind::kField
                                          : KeySpec::Kind::kFields;
  spec.key.paths = std::move(key_paths);
  return spec;
}

std::string JsonOf(const RecordView& record) {
  std::string json;
  const absl::Status written = AppendJson(ValueView::Of(record), &json);
  return written.ok() ? json : written.ToString();
}

std::string ErrorOf(KeyExtractor& extractor, std::string_view line) {
  const auto decoded = extractor.Decode(line);
  return decoded.ok() ? "OK" : std::string(decoded.status().message());
}

class KeyOfJson
    : public testing::TestWithParam<std::tuple<std::vector<std::string>, const char*, const char*>> {};

TEST_P(KeyOfJson, IsWhatIsWritten) {
  const auto& [paths, line, key] = GetParam();
  const auto extractor = *KeyExtractor::Create(Spec(Format::kJsonLines, paths));
  const auto decoded = extractor->Decode(line);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->record.key, key);
  EXPECT_EQ(JsonOf(decoded->record), line);
}

using Paths = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(
    Cases, KeyOfJson,
    testing::Values(std::tuple(Paths{"origin"}, R"({"origin":"ATL","delay":5})", "ATL"),
                    std::tuple(Paths{"origin"}, R"({"origin":"","delay":5})", ""),
                    std::tuple(Paths{"id"}, R"({"id":1.5})", "1.5"),
                    std::tuple(Paths{"id"}, R"({"id":-7})", "-7"),
                    std::tuple(Paths{"id"}, R"({"id":18446744073709551615})", "18446744073709551615"),
                    std::tuple(Paths{"a.b"}, R"({"a":{"b":"deep"}})", "deep"),
                    std::tuple(Paths{"origin", "carrier"}, R"({"carrier":"DL","origin":"ATL"})",
                               R"(["ATL","DL"])"),
                    std::tuple(Paths{"n", "s"}, R"({"n":5,"s":"5"})", R"([5,"5"])"),
                    std::tuple(Paths{"s", "n"}, R"({"s":"a\"b","n":1})", R"(["a\"b",1])"),
                    std::tuple(Paths{}, R"(5)", "\x05")));

TEST(KeyExtractor, SaysWhichFieldOfTheKeyIsMissing) {
  const auto one = *KeyExtractor::Create(Spec(Format::kJsonLines, {"origin"}));
  EXPECT_THAT(ErrorOf(*one, R"({"delay":5})"), HasSubstr("no key: field `origin` is missing"));
  EXPECT_THAT(ErrorOf(*one, R"({"origin":null})"), HasSubstr("no key: field `origin` is null"));
  EXPECT_THAT(ErrorOf(*one, R"({"origin":["ATL"]})"), HasSubstr("no key: field `origin` is a list"));
  EXPECT_THAT(ErrorOf(*one, R"({"origin":{}})"), HasSubstr("no key: field `origin` is an object"));
  EXPECT_THAT(ErrorOf(*one, "[1]"), HasSubstr("no key: field `origin`"));
  const auto two = *KeyExtractor::Create(Spec(Format::kJsonLines, {"origin", "carrier"}));
  EXPECT_THAT(ErrorOf(*two, R"({"origin":"ATL"})"), HasSubstr("no key: field `carrier`"));
}

TEST(KeyExtractor, GoesOnBehindALineThatIsNoRecord) {
  const auto extractor = *KeyExtractor::Create(Spec(Format::kJsonLines, {"k"}));
  EXPECT_NE(ErrorOf(*extractor, R"({"k":"cut)"), "OK");
  EXPECT_NE(ErrorOf(*extractor, "{\"k\":\"\xff\"}"), "OK");
  EXPECT_EQ(extractor->Decode(R"({"k":"v"})")->record.key, "v");
}

TEST(KeyExtractor, TakesTheEventTimeAsUtc) {
  JobSpec spec = Spec(Format::kJsonLines, {"origin"});
  spec.time = TimeSpec{"date", "%Y/%m/%d %H:%M"};
  const auto extractor = *KeyExtractor::Create(spec);
  EXPECT_EQ(extractor->Decode(R"({"date":"2001/01/01 00:47","origin":"DTW"})")->record.time_ms,
            978'310'020'000);
  EXPECT_THAT(ErrorOf(*extractor, R"({"date":"soon","origin":"DTW"})"),
              HasSubstr("field `date` holds `soon`"));
  EXPECT_THAT(ErrorOf(*extractor, R"({"origin":"DTW"})"), HasSubstr("no time: field `date` is missing"));
}

TEST(KeyExtractor, ReadsNumbersAsEpochTimesWithoutAFormat) {
  JobSpec spec = Spec(Format::kJsonLines, {"k"});
  spec.time = TimeSpec{"t", ""};
  const auto extractor = *KeyExtractor::Create(spec);
  EXPECT_EQ(extractor->Decode(R"({"k":1,"t":978307200})")->record.time_ms, 978'307'200'000);
  EXPECT_EQ(extractor->Decode(R"({"k":1,"t":978307200123})")->record.time_ms, 978'307'200'123);
  EXPECT_EQ(extractor->Decode(R"({"k":1,"t":"2001-01-01T00:00:00Z"})")->record.time_ms, 978'307'200'000);
}

TEST(KeyExtractor, TakesTheKeyFromAnExpression) {
  JobSpec spec = Spec(Format::kJsonLines, {});
  spec.key.kind = KeySpec::Kind::kLua;
  const auto key_of = [&spec](const std::string& expression, std::string_view line) -> std::string {
    spec.key.lua = expression;
    const auto extractor = KeyExtractor::Create(spec);
    if (!extractor.ok()) return "does not compile";
    const auto decoded = (*extractor)->Decode(line);
    return std::string(decoded.ok() ? decoded->record.key : ToStd(decoded.status().message()));
  };
  constexpr std::string_view kLine = R"({"origin":"ATL","carrier":"DL","n":7})";
  EXPECT_EQ(key_of("r.origin .. '-' .. r.carrier", kLine), "ATL-DL");
  EXPECT_EQ(key_of("r.n + 1", kLine), "8");
  EXPECT_EQ(key_of("{r.origin, r.n}", kLine), R"(["ATL",7])");
  EXPECT_THAT(key_of("r.none", kLine), HasSubstr("gives nil"));
  EXPECT_EQ(key_of("r.origin ..", kLine), "does not compile");
}

TEST(CsvSource, MakesRowsOfLines) {
  JobSpec spec = Spec(Format::kCsv, {"zip"});
  spec.source.types = {{"zip", "string"}};
  const auto extractor = *KeyExtractor::Create(spec);
  ASSERT_TRUE(extractor->SetCsvHeader("\xEF\xBB\xBFzip,\"the name\",n,x\r\n").ok());
  const auto decoded = extractor->Decode("10001,\"a \"\"b\"\", c\",-1.5e1,");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->record.key, "10001");
  EXPECT_EQ(JsonOf(decoded->record), R"({"zip":"10001","the name":"a \"b\", c","n":-15.0,"x":null})");
  EXPECT_EQ(JsonOf(extractor->Decode("1,\"\",007,1")->record),
            R"({"zip":"1","the name":"","n":"007","x":1})");
}

TEST(CsvSource, KeepsLargeIntegersExact) {
  const auto extractor = *KeyExtractor::Create(Spec(Format::kCsv, {"id", "n"}));
  ASSERT_TRUE(extractor->SetCsvHeader("id,n").ok());
  EXPECT_EQ(extractor->Decode("18446744073709551615,x")->record.key, R"([18446744073709551615,"x"])");
}

TEST(CsvSource, RefusesLinesThatDoNotFitTheHeader) {
  JobSpec spec = Spec(Format::kCsv, {"a"});
  spec.source.types = {{"b", "number"}};
  const auto extractor = *KeyExtractor::Create(spec);
  EXPECT_THAT(ErrorOf(*extractor, "1,2"), HasSubstr("no header row"));
  ASSERT_TRUE(extractor->SetCsvHeader("a,b").ok());
  EXPECT_THAT(ErrorOf(*extractor, "1"), HasSubstr("has 1 fields, the header has 2"));
  EXPECT_THAT(ErrorOf(*extractor, "1,2,3"), HasSubstr("has 3 fields"));
  EXPECT_THAT(ErrorOf(*extractor, "1,two"), HasSubstr("column `b` is no number"));
  EXPECT_THAT(ErrorOf(*extractor, "1,\"2"), HasSubstr("quote"));
  EXPECT_THAT(ErrorOf(*extractor, "\"1\"x,2"), HasSubstr("behind the closing quote"));
  EXPECT_THAT(ErrorOf(*extractor, ",2"), HasSubstr("no key: field `a`"));
  EXPECT_THAT(ErrorOf(*extractor, "\xff,2"), HasSubstr("not UTF-8"));
}

TEST(CsvSource, RefusesAHeaderThatNamesNothing) {
  JobSpec spec = Spec(Format::kCsv, {"a"});
  spec.source.types = {{"b", "string"}};
  const auto extractor = *KeyExtractor::Create(spec);
  EXPECT_FALSE(extractor->SetCsvHeader("a,,b").ok());
  EXPECT_FALSE(extractor->SetCsvHeader("a,a,b").ok());
  EXPECT_THAT(extractor->SetCsvHeader("a,c").message(), HasSubstr("no column `b`"));
}

TEST(RawSource, IsItsOwnKey) {
  const auto extractor = *KeyExtractor::Create(Spec(Format::kRaw, {}));
  const auto decoded = extractor->Decode("any \xff bytes");
  EXPECT_EQ(decoded->record.key, "any \xff bytes");
  EXPECT_EQ(decoded->record.value, "any \xff bytes");
  EXPECT_EQ(decoded->record.shape, kRawShape);
  EXPECT_FALSE(KeyExtractor::Create(Spec(Format::kRaw, {"a"})).ok());
}

TEST(CsvSource, RefusesMoreColumnsThanARowHasFields) {
  const auto header = [](size_t columns) {
    std::string line = "c0";
    for (size_t i = 1; i < columns; ++i) line += ",c" + std::to_string(i);
    return line;
  };
  CsvReader csv(std::map<std::string, std::string>{});
  EXPECT_TRUE(csv.SetHeader(header(kMaxShapeFields)).ok());
  const absl::Status status = csv.SetHeader(header(kMaxShapeFields + 1));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("4097 columns"));
}

TEST(CsvSource, QuotesACellWithoutCuttingACharacter) {
  CsvReader csv(std::map<std::string, std::string>{{"n", "number"}});
  ASSERT_TRUE(csv.SetHeader("n").ok());
  const absl::Status status = csv.Parse(std::string(39, 'x') + "\u20ac");
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(IsValidUtf8(std::string(status.message()))) << status;
}

}  // namespace
}  // namespace millrace
