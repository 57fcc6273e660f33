#include "common/job/job_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job/branches.h"
#include "common/strings.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::string_view kSmall = "name: small\nkey: origin\nstages:\n  - filter: r.delay > 0\n";

JobSpec Parsed(std::string_view text, const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", text, sets);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? *spec : JobSpec{};
}

std::string ErrorOf(std::string_view text, const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", text, sets);
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(ToStd(spec.status().message()));
}

TEST(JobParser, FillsInEveryDefault) {
  const JobSpec spec = Parsed(kSmall);
  EXPECT_EQ(spec.name, "small");
  EXPECT_EQ(spec.source.format, Format::kJsonLines);
  EXPECT_EQ(spec.source.max_record_bytes, 1u << 20);
  EXPECT_EQ(spec.key.kind, KeySpec::Kind::kField);
  EXPECT_THAT(spec.key.paths, ElementsAre("origin"));
  EXPECT_FALSE(spec.time.has_value());
  EXPECT_EQ(spec.partitions, 16u);
  EXPECT_EQ(spec.sink.kind, SinkSpec::Kind::kResults);
  EXPECT_EQ(spec.errors.on_error, OnError::kDeadLetter);
  EXPECT_EQ(spec.errors.retry.attempts, 1);
  EXPECT_EQ(spec.commit_interval, absl::Seconds(1));
  EXPECT_EQ(spec.retain, Retain::kAll);
  EXPECT_EQ(spec.standbys, 0u);
  EXPECT_EQ(spec.ttl, absl::InfiniteDuration());
  EXPECT_TRUE(spec.tests.empty());
  EXPECT_EQ(spec.text, kSmall);
  ASSERT_EQ(spec.stages.size(), 1u);
  EXPECT_EQ(std::get<FilterStage>(spec.stages[0].what).expression, "r.delay > 0");
  EXPECT_EQ(spec.stages[0].code.name, "filter-0");
  EXPECT_EQ(spec.stages[0].code.timeout, absl::Seconds(2));
  EXPECT_FALSE(spec.stages[0].code.errors.has_value());
  EXPECT_EQ(spec.stages[0].place, "job.yaml:4:5");
}

TEST(JobParser, KeyByTakesWhatKeyTakesAndPartitions) {
  const JobSpec spec = Parsed(R"(
name: a
key: k
partitions: 8
stages:
  - key_by: a.b
  - key_by: [x, y]
    partitions: 3
  - key_by: 'lua: r.x .. r.y'
    name: both
    timeout: 1s
)");
  ASSERT_EQ(spec.stages.size(), 3u);
  const auto& first = std::get<KeyByStage>(spec.stages[0].what);
  EXPECT_THAT(first.key.paths, ElementsAre("a.b"));
  EXPECT_EQ(first.partitions, 0u);
  const auto& second = std::get<KeyByStage>(spec.stages[1].what);
  EXPECT_EQ(second.key.kind, KeySpec::Kind::kFields);
  EXPECT_EQ(second.partitions, 3u);
  EXPECT_EQ(std::get<KeyByStage>(spec.stages[2].what).key.lua, "r.x .. r.y");
  EXPECT_EQ(spec.stages[2].code.name, "both");
}

TEST(JobParser, DedupeTakesAnExpressionAndATime) {
  const JobSpec spec = Parsed(R"(
name: a
key: k
stages:
  - dedupe: { by: r.id, within: 90s }
    on_error: skip
  - dedupe:
      by: |
        r.id .. key
)");
  ASSERT_EQ(spec.stages.size(), 2u);
  const auto& first = std::get<DedupeStage>(spec.stages[0].what);
  EXPECT_EQ(first.by, "r.id");
  EXPECT_EQ(first.within, absl::Seconds(90));
  EXPECT_EQ(spec.stages[0].code.errors->on_error, OnError::kSkip);
  EXPECT_EQ(spec.stages[0].code.place.line, 5);
  EXPECT_EQ(std::get<DedupeStage>(spec.stages[1].what).within, absl::InfiniteDuration());
  EXPECT_EQ(spec.stages[1].code.place.line, 9);
  EXPECT_TRUE(RunsUserCode(spec));
  EXPECT_TRUE(KeepsState(spec.stages[0]));
}

TEST(JobParser, RateLimitTakesARateABurstAndWhatBecomesOfTheRest) {
  const JobSpec spec = Parsed(R"(
name: a
key: k
stages:
  - rate_limit: { rate: 90/m }
  - rate_limit: { rate: 5/h, burst: 7, per: stage, excess: drop }
)");
  ASSERT_EQ(spec.stages.size(), 2u);
  const auto& first = std::get<RateLimitStage>(spec.stages[0].what);
  EXPECT_EQ(RateText(first), "90/m");
  EXPECT_EQ(first.burst, 90);
  EXPECT_EQ(first.per, RateLimitStage::Per::kKey);
  EXPECT_EQ(first.excess, RateLimitStage::Excess::kWait);
  EXPECT_FALSE(KeepsState(spec.stages[0]));
  const auto& second = std::get<RateLimitStage>(spec.stages[1].what);
  EXPECT_EQ(RateText(second), "5/h");
  EXPECT_EQ(second.burst, 7);
  EXPECT_EQ(second.per, RateLimitStage::Per::kStage);
  EXPECT_EQ(second.excess, RateLimitStage::Excess::kDrop);
  EXPECT_TRUE(KeepsState(spec.stages[1]));
  EXPECT_FALSE(RunsUserCode(spec));
}

constexpr std::string_view kBranched = R"(
name: a
key: k
stages:
  - filter: r.a
  - partition:
      - when: r.b
        stages:
          - map: r.c
          - broadcast:
              - stages: [ { filter: r.d } ]
              - stages: []
      - stages:
          - aggregate: { n: count() }
)";

TEST(JobParser, BranchesHoldStagesNamedByTheirPlace) {
  const JobSpec spec = Parsed(kBranched);
  std::vector<std::string> names;
  for (const StageSpec* stage : AllStages(spec.stages)) names.push_back(stage->code.name);
  EXPECT_THAT(names, ElementsAre("filter-0", "partition-1", "map-1-0-0", "broadcast-1-0-1",
                                 "filter-1-0-1-0-0", "aggregate-1-1-0"));
  const auto& branches = std::get<BranchStage>(spec.stages[1].what).branches;
  ASSERT_EQ(branches.size(), 2u);
  EXPECT_EQ(branches[0].when, "r.b");
  EXPECT_EQ(branches[0].code.line, 7);
  EXPECT_EQ(branches[1].when, "");
  EXPECT_EQ(branches[0].stages[0].place, "job.yaml:9:13");
  EXPECT_TRUE(std::get<BranchStage>(branches[0].stages[1].what).branches[1].stages.empty());
}

TEST(JobParser, SetsReachIntoBranches) {
  const JobSpec spec =
      Parsed(kBranched, {"stages.1.partition.0.stages.0.map=r.e", "stages.1.partition.0.when=r.f"});
  const BranchSpec& branch = std::get<BranchStage>(spec.stages[1].what).branches[0];
  EXPECT_EQ(branch.when, "r.f");
  EXPECT_EQ(std::get<MapStage>(branch.stages[0].what).expression, "r.e");
}

TEST(JobParser, BranchesAreBoundedInDepthAndNumber) {
  const auto nested = [](int depth) {
    std::string text = "{ map: r }";
    for (int i = 0; i < depth; ++i) text = StrCat("{ broadcast: [ { stages: [ ", text, " ] } ] }");
    return StrCat("name: a\nkey: k\nstages: [ ", text, " ]\n");
  };
  EXPECT_EQ(AllStages(Parsed(nested(kMaxBranchDepth)).stages).size(), 5u);
  EXPECT_THAT(ErrorOf(nested(kMaxBranchDepth + 1)),
              HasSubstr("branches in branches, 5 deep — they are at most 4 deep"));
  std::string many = "name: a\nkey: k\nstages:\n  - broadcast:\n";
  for (int i = 0; i < 2; ++i) {
    many += "      - stages:\n";
    for (int j = 0; j < 32; ++j) many += "          - map: r\n";
  }
  EXPECT_THAT(ErrorOf(many), HasSubstr("`stages` has 65 of them with those before it — a job has 1 to 64"));
  std::string wide = "name: a\nkey: k\nstages:\n  - broadcast:\n";
  for (int i = 0; i < 17; ++i) wide += "      - stages: []\n";
  EXPECT_THAT(ErrorOf(wide), HasSubstr("`broadcast` has 17 branches — it takes 1 to 16"));
}

TEST(JobParser, UserCodeInABranchIsUserCode) {
  EXPECT_TRUE(RunsUserCode(Parsed(kBranched)));
  EXPECT_TRUE(
      RunsUserCode(Parsed("name: a\nkey: k\nstages: [ { broadcast: [ { stages: [ { map: r } ] } ] } ]\n")));
  EXPECT_FALSE(RunsUserCode(Parsed(
      "name: a\nkey: k\nstages: [ { broadcast: [ { stages: [ { aggregate: { n: count() } } ] } ] } ]\n")));
}

TEST(JobParser, KeyByOfNoKeyIsToldWhere) {
  EXPECT_EQ(ErrorOf("name: a\nkey: k\nstages:\n  - key_by: { field: x }\n"),
            "job.yaml:4:15: `field`: unknown — `key_by` has no such key — use one of lua");
  EXPECT_EQ(
      ErrorOf("name: a\nkey: k\nstages:\n  - key_by: x\n    partitions: 0\n"),
      "job.yaml:5:17: `partitions` is `0` — it takes a whole number from 1 to 4096 — try `partitions: 16`");
  std::string nine = "name: a\nkey: k\nstages:\n";
  for (int i = 0; i < 8; ++i) nine += "  - key_by: x\n";
  EXPECT_THAT(ErrorOf(nine), HasSubstr("a job has at most 8 segments"));
}

TEST(JobParser, ReadsEveryField) {
  const JobSpec spec = Parsed(R"(
name: delays
source: { format: csv, types: { zip: string, n: number }, max_record: 64KiB }
key: [origin, carrier.code]
time: { field: date, format: '%Y/%m/%d %H:%M' }
partitions: 8
stages:
  - filter: r.delay ~= nil
    name: known-delay
    timeout: 250ms
    on_error: skip
    concurrency: 1
    ordered: partition
  - map: { route: 'r.origin .. "-" .. r.destination', delay: r.delay }
    retry: { attempts: 5, backoff: 1s }
  - map: r
  - flat_map: '{r, r}'
  - keyed:
      lua: |
        state.n = (state.n or 0) + 1
        emit(state.n)
  - inspect: r.delay > 60
  - aggregate: { n: count(), total: sum(delay), least: min(delay), worst: max(delay), mean: avg(a.b), first: first(x), last: last( x ), all: distinct(x) }
    emit: every 5s
    name: totals
sink: none
on_error: retry
retry: { attempts: 4, backoff: 50ms..2s }
commit: { interval: 250ms }
retain: results
standby: 1
ttl: 30d
)");
  EXPECT_EQ(spec.name, "delays");
  EXPECT_EQ(spec.source.format, Format::kCsv);
  EXPECT_THAT(spec.source.types, ElementsAre(Pair("n", "number"), Pair("zip", "string")));
  EXPECT_EQ(spec.source.max_record_bytes, 65536u);
  EXPECT_EQ(spec.key.kind, KeySpec::Kind::kFields);
  EXPECT_THAT(spec.key.paths, ElementsAre("origin", "carrier.code"));
  EXPECT_EQ(spec.ttl, absl::Hours(24 * 30));
  EXPECT_EQ(spec.time->field, "date");
  EXPECT_EQ(spec.time->format, "%Y/%m/%d %H:%M");
  EXPECT_EQ(spec.partitions, 8u);
  EXPECT_EQ(spec.sink.kind, SinkSpec::Kind::kNone);
  EXPECT_EQ(spec.errors.on_error, OnError::kRetry);
  EXPECT_EQ(spec.errors.retry.attempts, 4);
  EXPECT_EQ(spec.errors.retry.backoff.initial, absl::Milliseconds(50));
  EXPECT_EQ(spec.errors.retry.backoff.maximum, absl::Seconds(2));
  EXPECT_EQ(spec.commit_interval, absl::Milliseconds(250));
  EXPECT_EQ(spec.retain, Retain::kResults);
  EXPECT_EQ(spec.standbys, 1u);

  ASSERT_EQ(spec.stages.size(), 7u);
  const CodeSettings& filter = spec.stages[0].code;
  EXPECT_EQ(filter.name, "known-delay");
  EXPECT_EQ(filter.timeout, absl::Milliseconds(250));
  EXPECT_EQ(filter.errors->on_error, OnError::kSkip);
  EXPECT_THAT(std::get<MapStage>(spec.stages[1].what).fields,
              ElementsAre(Pair("route", "r.origin .. \"-\" .. r.destination"), Pair("delay", "r.delay")));
  EXPECT_EQ(spec.stages[1].code.errors->on_error, OnError::kRetry);
  EXPECT_EQ(spec.stages[1].code.errors->retry.attempts, 5);
  EXPECT_EQ(spec.stages[1].code.errors->retry.backoff.maximum, absl::Seconds(1));
  EXPECT_EQ(std::get<MapStage>(spec.stages[2].what).expression, "r");
  EXPECT_EQ(std::get<FlatMapStage>(spec.stages[3].what).expression, "{r, r}");
  EXPECT_EQ(std::get<KeyedStage>(spec.stages[4].what).lua, "state.n = (state.n or 0) + 1\nemit(state.n)\n");
  EXPECT_EQ(std::get<InspectStage>(spec.stages[5].what).expression, "r.delay > 60");
  const auto& totals = std::get<AggregateStage>(spec.stages[6].what);
  std::vector<std::pair<AggregateFunction, std::string>> columns;
  for (const AggregateColumn& column : totals.columns) columns.emplace_back(column.function, column.path);
  using enum AggregateFunction;
  EXPECT_THAT(columns,
              ElementsAre(Pair(kCount, ""), Pair(kSum, "delay"), Pair(kMin, "delay"), Pair(kMax, "delay"),
                          Pair(kAvg, "a.b"), Pair(kFirst, "x"), Pair(kLast, "x"), Pair(kDistinct, "x")));
  EXPECT_EQ(totals.columns[1].name, "total");
  EXPECT_EQ(totals.emit.mode, EmitSpec::Mode::kEvery);
  EXPECT_EQ(totals.emit.every, absl::Seconds(5));
}

TEST(JobParser, ASinkIsAWordAFileOrAStream) {
  const auto with = [](const std::string& sink) {
    return Parsed("name: a\nkey: k\nstages: [ { map: r } ]\nsink: " + sink + "\n").sink;
  };
  EXPECT_TRUE(with("results").keeps_results());
  EXPECT_FALSE(with("results").goes_out());
  EXPECT_FALSE(with("none").keeps_results());
  const SinkSpec file = with("{ file: a/out.jsonl }");
  EXPECT_TRUE(file.keeps_results());
  EXPECT_TRUE(file.goes_out());
  EXPECT_EQ(file.file, "a/out.jsonl");
  EXPECT_EQ(file.rotate_bytes, 0u);
  const SinkSpec rotated = with("{ file: { path: /a/out.jsonl, rotate: 256MiB } }");
  EXPECT_EQ(rotated.file, "/a/out.jsonl");
  EXPECT_EQ(rotated.rotate_bytes, 256u << 20);
  const SinkSpec stream = with("{ stream: TOTALS, subject: totals.out }");
  EXPECT_EQ(stream.kind, SinkSpec::Kind::kStream);
  EXPECT_TRUE(stream.goes_out());
  EXPECT_EQ(stream.stream, "TOTALS");
  EXPECT_EQ(stream.subject, "totals.out");
  EXPECT_EQ(with("{ subject: totals.out }").stream, "");
}

TEST(JobParser, ASinkIsAService) {
  const auto with = [](const std::string& sink) {
    return Parsed("name: a\nkey: k\nstages: [ { map: r } ]\nsink: " + sink + "\n").sink;
  };
  const SinkSpec plain = with("{ http: 'https://example.org/totals?x=1' }");
  EXPECT_EQ(plain.kind, SinkSpec::Kind::kHttp);
  EXPECT_TRUE(plain.goes_out());
  EXPECT_EQ(plain.http.service.url, "https://example.org/totals?x=1");
  EXPECT_EQ(plain.http.format, HttpSinkSpec::Format::kLines);
  EXPECT_EQ(plain.http.batch_records, 500u);
  EXPECT_EQ(plain.http.linger, absl::Milliseconds(250));
  EXPECT_EQ(plain.http.service.timeout, absl::Seconds(30));
  const SinkSpec full = with(
      "{ http: { url: 'http://10.0.0.7:8080/in', headers: { Authorization: 'Bearer ${TOKEN}' }, "
      "format: array, batch: 20, linger: 2s, timeout: 5s } }");
  EXPECT_EQ(full.http.format, HttpSinkSpec::Format::kArray);
  EXPECT_EQ(full.http.batch_records, 20u);
  EXPECT_EQ(full.http.linger, absl::Seconds(2));
  EXPECT_EQ(full.http.service.timeout, absl::Seconds(5));
  ASSERT_EQ(full.http.service.headers.size(), 1u);
  EXPECT_EQ(full.http.service.headers[0].second, "Bearer ${TOKEN}");
}

TEST(JobParser, ReadsEachFormOfKey) {
  const std::string rest = "\nstages: [ { map: r } ]\n";
  EXPECT_EQ(Parsed("name: a\nkey: a.b" + rest).key.paths, std::vector<std::string>{"a.b"});
  for (const char* key :
       {"'lua: r.origin .. r.carrier'", "{ lua: r.origin .. r.carrier }", "\n  lua: r.origin .. r.carrier"}) {
    const JobSpec spec = Parsed(StrCat("name: a\nkey: ", key, rest));
    EXPECT_EQ(spec.key.kind, KeySpec::Kind::kLua) << key;
    EXPECT_EQ(spec.key.lua, "r.origin .. r.carrier") << key;
  }
  EXPECT_EQ(Parsed("name: a\nsource: { format: raw }" + rest).key.kind, KeySpec::Kind::kWhole);
}

TEST(JobParser, ReadsEachWayToEmit) {
  const auto emit = [](std::string_view how) {
    const JobSpec spec =
        Parsed(StrCat("name: a\nkey: k\nstages:\n  - aggregate: { n: count() }\n    emit: ", how, "\n"));
    return std::get<AggregateStage>(spec.stages.at(0).what).emit.mode;
  };
  EXPECT_EQ(emit("each"), EmitSpec::Mode::kEach);
  EXPECT_EQ(emit("changes"), EmitSpec::Mode::kChanges);
  EXPECT_EQ(emit("final"), EmitSpec::Mode::kFinal);
  EXPECT_EQ(emit("every 1m30s"), EmitSpec::Mode::kEvery);
}

WindowStage ParsedWindow(std::string_view what) {
  const JobSpec spec = Parsed(StrCat("name: a\nkey: k\nstages:\n  - window: { ", what, " }\n"));
  return std::get<WindowStage>(spec.stages.at(0).what);
}

TEST(JobParser, ReadsEachKindOfWindow) {
  const WindowStage tumbling = ParsedWindow("tumbling: 1h, aggregate: { n: count(), t: sum(v) }");
  EXPECT_EQ(tumbling.kind, WindowStage::Kind::kTumbling);
  EXPECT_EQ(tumbling.size, absl::Hours(1));
  EXPECT_EQ(tumbling.every, absl::Hours(1));
  EXPECT_EQ(tumbling.lateness, absl::ZeroDuration());
  EXPECT_EQ(tumbling.late, WindowStage::Late::kDeadLetter);
  ASSERT_EQ(tumbling.columns.size(), 2u);
  EXPECT_EQ(tumbling.columns[1].path, "v");
  const WindowStage sliding =
      ParsedWindow("sliding: 1000s, every: 1s, lateness: 1m, late: drop, aggregate: { n: count() }");
  EXPECT_EQ(sliding.kind, WindowStage::Kind::kSliding);
  EXPECT_EQ(sliding.every, absl::Seconds(1));
  EXPECT_EQ(sliding.lateness, absl::Minutes(1));
  EXPECT_EQ(sliding.late, WindowStage::Late::kDrop);
  const WindowStage session = ParsedWindow("session: 30m, lateness: 0s, aggregate: { n: count() }");
  EXPECT_EQ(session.kind, WindowStage::Kind::kSession);
  EXPECT_EQ(session.size, absl::Minutes(30));
}

TEST(JobParser, AWindowGoesByLogTimeWhereNothingElseSaysWhenARecordWas) {
  const std::string windows = "key: k\nstages:\n  - window: { tumbling: 1h, aggregate: { n: count() } }\n";
  EXPECT_TRUE(Parsed("name: a\n" + windows).log_time_is_event_time);
  EXPECT_TRUE(Parsed("name: a\nkey: k\nstages:\n  - broadcast:\n      - stages: [ { window: { session: 1h, "
                     "aggregate: { n: count() } } } ]\n")
                  .log_time_is_event_time);
  EXPECT_FALSE(Parsed("name: a\ntime: { field: t }\n" + windows).log_time_is_event_time);
  EXPECT_FALSE(Parsed("name: a\nsource: { subject: s }\n" + windows).log_time_is_event_time);
  EXPECT_FALSE(Parsed(kSmall).log_time_is_event_time);
}

TEST(JobParser, TurnsTestsIntoJson) {
  const JobSpec spec = Parsed(StrCat(kSmall, R"(
tests:
  - name: typed scalars
    input:
      - { z: 1, a: -2.50, s: '3', t: true, n: null, e: , words: two words, l: [1, x], m: { k: 012 } }
      - '{"as":"it is"}'
    expect:
      - { key: 7, value: { big: 18446744073709551615, tiny: 1e-7 } }
      - { key: [ATL, 5], value: "a \"b\"\n" }
    dead_letters: [no key]
  - { name: nothing comes, input: [], expect: [] }
)"));
  ASSERT_EQ(spec.tests.size(), 2u);
  EXPECT_EQ(spec.tests[0].name, "typed scalars");
  EXPECT_EQ(spec.tests[0].line, 7);
  EXPECT_THAT(
      spec.tests[0].input,
      ElementsAre(
          R"({"z":1,"a":-2.50,"s":"3","t":true,"n":null,"e":null,"words":"two words","l":[1,"x"],"m":{"k":"012"}})",
          R"({"as":"it is"})"));
  EXPECT_THAT(spec.tests[0].expect,
              ElementsAre(R"({"key":"7","value":{"big":18446744073709551615,"tiny":1e-7}})",
                          R"({"key":"[\"ATL\",5]","value":"a \"b\"\n"})"));
  EXPECT_THAT(spec.tests[0].dead_letters, ElementsAre("no key"));
  EXPECT_TRUE(spec.tests[1].input.empty());
}

TEST(JobParser, AppliesSetsAndStoresATextThatReadsBackTheSame) {
  const std::string text = StrCat(kSmall, "  - aggregate: { n: count(), s: '7' }\n");
  const JobSpec spec =
      Parsed(text, {"partitions=4", "stages.1.emit=final", "source.format=csv", "stages.1.aggregate.s=sum(x)",
                    "key=[a, b]", "name=other", "stages.0={keyed: {lua: \"x = 1\\ny = '#'\"}}"});
  EXPECT_EQ(spec.partitions, 4u);
  EXPECT_EQ(spec.name, "other");
  EXPECT_EQ(spec.source.format, Format::kCsv);
  EXPECT_THAT(spec.key.paths, ElementsAre("a", "b"));
  EXPECT_EQ(std::get<AggregateStage>(spec.stages.at(1).what).emit.mode, EmitSpec::Mode::kFinal);
  EXPECT_EQ(std::get<KeyedStage>(spec.stages.at(0).what).lua, "x = 1\ny = '#'");
  const JobSpec again = Parsed(spec.text);
  EXPECT_EQ(again.partitions, 4u);
  EXPECT_EQ(std::get<KeyedStage>(again.stages.at(0).what).lua, "x = 1\ny = '#'");
  EXPECT_EQ(Parsed(spec.text, {"partitions=4"}).text, spec.text);
}

TEST(JobParser, SaysWhichSetCannotBeApplied) {
  EXPECT_EQ(ErrorOf(kSmall, {"partitions"}),
            "--set partitions: cannot be applied — it is PATH=VALUE — try --set partitions=4");
  EXPECT_EQ(ErrorOf(kSmall, {"stages.3.name=x"}),
            "--set stages.3.name=x: cannot be applied — `3` is no position in a list of 1, counted from 0 — "
            "try --set stages.0.name=first");
  EXPECT_THAT(ErrorOf(kSmall, {"name.x=y"}), HasSubstr("there is a plain value where `x` would be"));
  EXPECT_THAT(ErrorOf(kSmall, {"a..b=y"}), HasSubstr("the path has an empty part"));
  EXPECT_EQ(ErrorOf(kSmall, {"partitions=*x"}).rfind("--set partitions:1:1: ", 0), 0u);
  EXPECT_EQ(
      ErrorOf(kSmall, {"partitions=4", "stages.0={filtr: r.x}"}).rfind("--set stages.0={filtr: r.x}: ", 0),
      0u);
  EXPECT_EQ(
      ErrorOf(kSmall, {"partitons=4"}),
      "--set partitons=4: `partitons`: did you mean `partitions`? — a job has no such key — use one of name, "
      "source, key, time, partitions, stages, sink, on_error, retry, commit, retain, standby, ttl, tests");
}

TEST(JobParser, KnowsWhichJobsRunUserCode) {
  EXPECT_TRUE(RunsUserCode(Parsed(kSmall)));
  EXPECT_FALSE(RunsUserCode(Parsed("name: a\nkey: k\nstages: [ { aggregate: { n: count() } } ]\n")));
}

}  // namespace
}  // namespace millrace
