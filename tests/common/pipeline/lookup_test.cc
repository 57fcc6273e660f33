// Records joined with a row of a table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/code/code_files.h"
#include "common/hash/sha256.h"
#include "common/pipeline/lookup_table.h"
#include "common/strings.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kAirports =
    "code,name,gates\n"
    "ATL,Hartsfield,192\n"
    "ORD,\"O'Hare, Chicago\",191\n"
    "7,Seven,\n";

FetchTable Fetching(std::string text) {
  return [text](const std::string&, const CodeFile*) { return text; };
}

JobSpec Joining(const std::string& settings, std::string_view table = kAirports) {
  absl::StatusOr<JobSpec> spec = ParseJob(
      "job.yaml",
      StrCat("name: j\nkey: k\nstages:\n  - lookup: { table: airports.csv, key: code, by: r.at, as: airport",
             settings, " }\n"));
  EXPECT_TRUE(spec.ok()) << spec.status();
  const absl::Status loaded = CodeFiles("").Load(&*spec, Fetching(std::string(table)));
  EXPECT_TRUE(loaded.ok()) << loaded;
  return *std::move(spec);
}

TEST(LookupTest, TheRowBecomesAFieldOfTheRecord) {
  PipelineRig rig(Joining(""), {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"at":"ORD","n":1})"}, {"b", R"({"at":7,"airport":"mine","n":2})"}}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_THAT(
      rig.sink.outputs,
      ElementsAre(R"(a {"at":"ORD","n":1,"airport":{"code":"ORD","name":"O'Hare, Chicago","gates":191}})",
                  R"(b {"at":7,"n":2,"airport":{"code":7,"name":"Seven","gates":null}})"));
}

TEST(LookupTest, ARecordWithoutARowIsWhatMissingSays) {
  const std::vector<Input> records = {{"a", R"({"at":"XXX"})"}, {"b", R"({"other":1})"}};
  PipelineRig null(Joining(""), {});
  ASSERT_TRUE(null.Feed(records).ok());
  EXPECT_THAT(null.sink.outputs,
              ElementsAre(R"(a {"at":"XXX","airport":null})", R"(b {"other":1,"airport":null})"));

  PipelineRig drop(Joining(", missing: drop"), {});
  ASSERT_TRUE(drop.Feed(records).ok());
  EXPECT_THAT(drop.sink.outputs, IsEmpty());
  EXPECT_THAT(drop.sink.letters, IsEmpty());

  PipelineRig error(Joining(", missing: error"), {});
  ASSERT_TRUE(error.Feed(records).ok());
  EXPECT_THAT(error.sink.letters, ElementsAre("0 lookup-0: no row of airports.csv for `XXX`",
                                              "1 lookup-0: no row of airports.csv for `nil`"));
}

TEST(LookupTest, WhatCannotBeJoinedIsTheRecordsError) {
  PipelineRig rig(Joining(""), {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"at":[1]})"}}).ok());
  EXPECT_THAT(
      rig.sink.letters,
      ElementsAre("0 lookup-0: `by` gave a list or an object, and a row is found by a string, a number or a "
                  "boolean"));
  PipelineRig list(Joining(""), {});
  JobSpec spec = Joining("");
  std::get<LookupStage>(spec.stages[0].what).by = "'ATL'";
  PipelineRig plain(spec, {});
  ASSERT_TRUE(plain.Feed({{"a", "[1,2]"}}).ok());
  EXPECT_THAT(
      plain.sink.letters,
      ElementsAre("0 lookup-0: only an object can be joined with a row — put a `map: { … }` in front"));
}

TEST(LookupTest, AValueOutOfLuaIsAnObjectToo) {
  JobSpec spec = Joining("");
  spec.stages.insert(spec.stages.begin(),
                     PipelineRig::Parse("stages: [ { map: '{ at = \"ATL\", n = r.n }' } ]\n").stages[0]);
  PipelineRig rig(spec, {});
  ASSERT_TRUE(rig.Feed({{"a", R"({"n":5})"}}).ok());
  EXPECT_THAT(
      rig.sink.outputs,
      ElementsAre(R"(a {"at":"ATL","n":5,"airport":{"code":"ATL","name":"Hartsfield","gates":192}})"));
}

TEST(LookupTest, ATableIsKeptOncePerContentAndColumn) {
  CodeFiles files("");
  int fetches = 0;
  const FetchTable fetch = [&](const std::string&, const CodeFile*) {
    ++fetches;
    return std::string(kAirports);
  };
  const auto load = [&](const std::vector<CodeFile>& known) {
    absl::StatusOr<JobSpec> spec =
        ParseJob("job.yaml",
                 "name: j\nkey: k\nstages: [ { lookup: { table: a.csv, key: code, by: r.at, as: x } } ]\n");
    spec->files = known;
    EXPECT_TRUE(files.Load(&*spec, fetch).ok());
    return *std::move(spec);
  };
  const JobSpec first = load({});
  ASSERT_EQ(first.files.size(), 1u);
  EXPECT_EQ(first.files[0].sha256, Hex(Sha256Of(kAirports)));
  const JobSpec second = load(first.files);
  EXPECT_EQ(fetches, 1);
  EXPECT_EQ(std::get<LookupStage>(first.stages[0].what).loaded,
            std::get<LookupStage>(second.stages[0].what).loaded);
  EXPECT_NE(std::get<LookupStage>(first.stages[0].what).text, nullptr);
  EXPECT_EQ(std::get<LookupStage>(second.stages[0].what).text, nullptr);
}

TEST(LookupTest, TablesOfVersionsThatAreOverAreNotFetched) {
  SegmentVersions versions;
  for (const char* table : {"old.csv", "new.csv", "next.csv"}) {
    const absl::StatusOr<JobSpec> spec =
        ParseJob("job.yaml", StrCat("name: j\nkey: k\nstages: [ { lookup: { table: ", table,
                                    ", key: code, by: r.at, as: x } } ]\n"));
    ASSERT_TRUE(spec.ok()) << spec.status();
    versions.push_back(std::make_shared<const SegmentSpec>(SegmentOf(*spec, kFirstSegment)));
  }
  std::vector<std::string> fetched;
  const FetchTable fetch = [&](const std::string& name, const CodeFile*) {
    fetched.push_back(name);
    return std::string(kAirports);
  };
  const auto loaded = CodeFiles("").Load(versions, 1, fetch);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(fetched, ElementsAre("new.csv", "next.csv"));
  EXPECT_EQ(loaded->size(), 3u);
  EXPECT_EQ((*loaded)[0], versions[0]);
}

TEST(LookupTest, AnotherTableThanTheJobsIsDataLoss) {
  JobSpec spec = Joining("");
  for (StageSpec& stage : spec.stages) std::get<LookupStage>(stage.what).loaded = nullptr;
  const absl::Status loaded = CodeFiles("").Load(&spec, Fetching("code\nX\n"));
  EXPECT_EQ(loaded.code(), absl::StatusCode::kDataLoss);
}

TEST(LookupTableTest, SaysWhichLineIsWrong) {
  const auto error_of = [](const std::string& name, std::string_view text) {
    return std::string(LookupTable::Parse(name, text, "code").status().message());
  };
  EXPECT_EQ(error_of("t.csv", "name\nx\n"), "t.csv:1: there is no column `code`, which `key` names");
  EXPECT_EQ(error_of("t.csv", "code,name\nA,x\n\nA,y\n"), "t.csv:4: the key `A` a second time, after line 2");
  EXPECT_EQ(error_of("t.csv", "code,name\n,x\n"),
            "t.csv:2: a row without a key: `code` is missing, null, a list or an object");
  EXPECT_THAT(error_of("t.csv", "code,name\nA\n"), testing::StartsWith("t.csv:2: "));
  EXPECT_EQ(error_of("t.jsonl", "{\"code\":1}\n[1]\n"), "t.jsonl:2: a row is a JSON object");
  EXPECT_THAT(error_of("t.jsonl", "{\"code\":\n"), testing::StartsWith("t.jsonl:1: "));
}

TEST(LookupTableTest, ReadsObjectsAndLinesThatEndAsOnWindows) {
  const auto objects = LookupTable::Parse("t.jsonl", "{\"code\":1.50,\"n\":[1]}\r\n{\"code\":\"b\"}", "code");
  ASSERT_TRUE(objects.ok()) << objects.status();
  EXPECT_EQ((*objects)->rows(), 2u);
  EXPECT_TRUE((*objects)->Find("1.50").has_value());
  EXPECT_FALSE((*objects)->Find("1.5").has_value());
  const auto rows = LookupTable::Parse("t.csv", "code,n\r\na,1\r\n", "code");
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::string json;
  ASSERT_TRUE(AppendPackedJson((*rows)->Find("a").value(), &json).ok());
  EXPECT_EQ(json, R"({"code":"a","n":1})");
}

}  // namespace
}  // namespace millrace
