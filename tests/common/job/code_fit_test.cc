#include "common/job/code_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "common/job/job_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kFittedJob[] = R"(name: j
key: k
time: {field: t}
partitions: 4
stages:
  - filter: r.v > 0
  - aggregate: {n: count(), sum: sum(v)}
    emit: each
  - key_by: g
    partitions: 2
  - keyed: {lua: 'state.n = (state.n or 0) + 1'}
sink: results
on_error: dead_letter
ttl: 30d
)";

JobSpec Parse(const std::string& text) {
  absl::StatusOr<JobSpec> spec = ParseJob("new.yaml", text);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(JobSpec());
}

// kFittedJob with one text in it replaced.
JobSpec With(const std::string& before, const std::string& after) {
  EXPECT_THAT(kFittedJob, HasSubstr(before));
  return Parse(absl::StrReplaceAll(kFittedJob, {{before, after}}));
}

struct Change {
  std::string before, after;
};

TEST(CodeFitTest, TakesWhatLeavesTheStateItsMeaning) {
  const std::vector<Change> changes = {
      {"name: j", "name: j # a comment"},
      {"r.v > 0", "r.v > 10"},
      {"  - filter: r.v > 0\n", ""},
      {"  - filter: r.v > 0\n", "  - map: {v: r.w}\n  - filter: r.v > 0\n"},
      {"emit: each", "name: totals"},
      {"  - key_by: g", "  - inspect: r.n\n  - key_by: g"},
      {"state.n = (state.n or 0) + 1", "state.n = (state.n or 0) + 2 emit(state.n)"},
      {"  - keyed: {", "  - timeout: 5s\n    keyed: {"},
      {"on_error: dead_letter", "on_error: skip"},
      {"ttl: 30d", "ttl: 30d\ncommit: {interval: 2s}"},
      {"sink: results", "sink: results\ntests: []"},
  };
  for (const Change& change : changes) {
    EXPECT_EQ(CheckCodeFits(Parse(kFittedJob), With(change.before, change.after)), absl::OkStatus())
        << change.before << " -> " << change.after;
  }
}

TEST(CodeFitTest, PartitionsWrittenOutAreTheSame) {
  EXPECT_EQ(CheckCodeFits(With("    partitions: 2\n", ""), With("    partitions: 2", "    partitions: 4")),
            absl::OkStatus());
}

TEST(CodeFitTest, WhatADedupeGoesByStays) {
  const std::string text = "name: j\nkey: k\nstages:\n  - dedupe: {by: r.id, within: 1h}\n";
  const auto check = [&](const std::string& before, const std::string& after) {
    return std::string(
        CheckCodeFits(Parse(text), Parse(absl::StrReplaceAll(text, {{before, after}}))).message());
  };
  EXPECT_EQ(check("  - dedupe", "  - name: once\n    dedupe"), "");
  EXPECT_THAT(check("r.id", "r.no"), HasSubstr("new.yaml:4:5: `dedupe.by` was `r.id`, is `r.no`"));
  EXPECT_THAT(check("1h", "2h"), HasSubstr("`dedupe.within` was `1h`, is `2h`"));
  EXPECT_THAT(check("dedupe: {by: r.id, within: 1h}", "filter: r.id"),
              HasSubstr("the `dedupe` `dedupe-0` is gone"));
}

TEST(CodeFitTest, ARateMayChangeAndWhoseBucketsTheyAreMayNot) {
  const std::string text =
      "name: j\nkey: k\nstages:\n  - rate_limit: {rate: 5/s, burst: 9, per: key, excess: drop}\n";
  const auto check = [&](const std::string& before, const std::string& after) {
    return std::string(
        CheckCodeFits(Parse(text), Parse(absl::StrReplaceAll(text, {{before, after}}))).message());
  };
  EXPECT_EQ(check("5/s", "1/h"), "");
  EXPECT_EQ(check("burst: 9, ", ""), "");
  EXPECT_EQ(check("excess: drop", "excess: dead_letter"), "");
  EXPECT_THAT(check("per: key", "per: stage"), HasSubstr("`rate_limit.per` was `key`, is `stage`"));
  EXPECT_THAT(check("excess: drop", "excess: wait"), HasSubstr("the `rate_limit` `rate_limit-0` is gone"));
}

constexpr char kBranchedJob[] = R"(name: j
key: k
stages:
  - partition:
      - when: r.v > 1
        stages:
          - aggregate: {n: count()}
      - stages:
          - map: r
          - aggregate: {n: count()}
)";

TEST(CodeFitTest, StateStaysInItsBranch) {
  const auto check = [&](const std::string& before, const std::string& after) {
    EXPECT_THAT(kBranchedJob, HasSubstr(before));
    return std::string(
        CheckCodeFits(Parse(kBranchedJob), Parse(absl::StrReplaceAll(kBranchedJob, {{before, after}})))
            .message());
  };
  EXPECT_EQ(check("r.v > 1", "r.v > 2"), "");
  EXPECT_EQ(check("          - map: r\n", ""), "");
  EXPECT_EQ(check("  - partition:", "  - filter: r.v\n  - partition:"), "");
  EXPECT_EQ(
      check("      - when: r.v > 1\n", "      - when: r.v > 9\n        stages: []\n      - when: r.v > 1\n"),
      "");  // a branch without state
  EXPECT_THAT(
      check("      - stages:\n          - map: r\n", "          - map: r\n"),
      HasSubstr("new.yaml:9:13: the `aggregate` `aggregate-0-0-2` is in another branch than the one in "
                "its place was"));
  EXPECT_THAT(check("  - partition:\n      - when: r.v > 1\n", "  - broadcast:\n      -\n"),
              HasSubstr("is in another branch"));
  EXPECT_THAT(check("          - map: r\n          - aggregate: {n: count()}\n", "          - map: r\n"),
              HasSubstr("the `aggregate` `aggregate-0-1-1` is gone"));
}

constexpr char kWindowJob[] = R"(name: j
key: k
stages:
  - window: {sliding: 1h, every: 5m, lateness: 1m, aggregate: {n: count(), sum: sum(v)}}
)";

TEST(CodeFitTest, AWindowStaysAsItIs) {
  const std::vector<std::pair<Change, std::string>> refusals = {
      {{"every: 5m", "every: 10m"}, "`window` was `sliding 1h every 5m`, is `sliding 1h every 10m`"},
      {{"sliding: 1h, every: 5m", "session: 1h"}, "`window` was `sliding 1h every 5m`, is `session 1h`"},
      {{"lateness: 1m", "lateness: 2m"}, "`window.lateness` was `1m`, is `2m`"},
      {{"lateness: 1m", "lateness: 1m, late: drop"}, "`window.late` was `dead_letter`, is `drop`"},
      {{"sum(v)", "sum(w)"}, "`window.aggregate.sum` was `sum(v)`, is `sum(w)`"},
      {{"n: count(), ", ""}, "`window.aggregate` was `{n, sum}`, is `{sum}`"},
      {{"window: {sliding: 1h, every: 5m, lateness: 1m, aggregate: {n: count(), sum: sum(v)}}",
        "aggregate: {n: count()}"},
       "`aggregate` where there was `window`"},
  };
  for (const auto& [change, what] : refusals) {
    const std::string next = absl::StrReplaceAll(kWindowJob, {{change.before, change.after}});
    const absl::Status status = CheckCodeFits(Parse(kWindowJob), Parse(next));
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << what;
    EXPECT_THAT(std::string(status.message()), AllOf(testing::StartsWith("new.yaml:4:5: "), HasSubstr(what)));
  }
  const std::string named = StrCat(kWindowJob, "    name: hours\n");
  EXPECT_EQ(CheckCodeFits(Parse(kWindowJob), Parse(named)), absl::OkStatus());
}

struct Refusal {
  Change change;
  std::string place, what;
};

TEST(CodeFitTest, RefusesWhatWouldNotFitTheStateOrTheLogs) {
  const std::vector<Refusal> refusals = {
      {{"name: j", "name: i"}, "new.yaml:1:7: ", "`name` was `j`, is `i`"},
      {{"key: k", "key: h"}, "new.yaml:2:6: ", "`key` was `k`, is `h`"},
      {{"field: t", "field: u"}, "new.yaml:3:7: ", "`time.field` was `t`, is `u`"},
      {{"partitions: 4", "partitions: 8"}, "new.yaml:4:13: ", "`partitions` was `4`, is `8`"},
      {{"partitions: 4", "source: {max_record: 2MiB}\npartitions: 4"},
       "new.yaml:4:9: ",
       "`source.max_record` was `1048576`, is `2097152`"},
      {{"sink: results", "sink: none"}, "new.yaml:12:7: ", "`sink` was `results`, is `none`"},
      {{"sink: results", "sink: { file: out.jsonl }"}, "new.yaml:12:7: ", "`sink` was `results`, is `file`"},
      {{"sink: results", "retain: results"}, "new.yaml:12:9: ", "`retain` was `all`, is `results`"},
      {{"ttl: 30d", "ttl: 10d"}, "new.yaml:14:6: ", "`ttl` was `30d`, is `10d`"},
      {{"sum: sum(v)", "sum: sum(w)"}, "new.yaml:7:5: ", "`aggregate.sum` was `sum(v)`, is `sum(w)`"},
      {{"n: count(), ", ""}, "new.yaml:7:5: ", "`aggregate` was `{n, sum}`, is `{sum}`"},
      {{"emit: each", "emit: final"}, "new.yaml:7:5: ", "`emit` was `each`, is `final`"},
      {{"key_by: g", "key_by: h"}, "new.yaml:9:5: ", "`key_by` was `g`, is `h`"},
      {{"partitions: 2", "partitions: 3"}, "new.yaml:9:5: ", "`partitions` was `2`, is `3`"},
      {{"  - key_by: g\n    partitions: 2\n", ""},
       "new.yaml:9:5: ",
       "`keyed` where there was `key_by` — it cuts the job into segments"},
      {{"  - filter: r.v > 0", "  - aggregate: {m: count()}"},
       "new.yaml:6:5: ",
       "`aggregate` was `{n, sum}`"},
      {{"sink: results", "  - aggregate: {m: count()}"}, "new.yaml:12:5: ", "a new `aggregate`"},
      {{"  - keyed: {lua: 'state.n = (state.n or 0) + 1'}\n", ""},
       "new.yaml:6:3: ",
       "the `keyed` `keyed-3` is gone"},
  };
  for (const Refusal& refusal : refusals) {
    const absl::Status status =
        CheckCodeFits(Parse(kFittedJob), With(refusal.change.before, refusal.change.after));
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << refusal.what;
    EXPECT_THAT(std::string(status.message()),
                AllOf(testing::StartsWith(refusal.place), HasSubstr(refusal.what),
                      HasSubstr(" — leave it as it was"), testing::Not(HasSubstr("\n"))));
  }
}

TEST(CodeFitTest, RefusesAnotherFileForResults) {
  const absl::Status status = CheckCodeFits(With("sink: results", "sink: { file: out.jsonl }"),
                                            With("sink: results", "sink: { file: other.jsonl }"));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("`sink.file` was `out.jsonl`, is `other.jsonl` — some of the results are there"),
            testing::StartsWith("new.yaml:12:7: ")));
}

}  // namespace
}  // namespace millrace
