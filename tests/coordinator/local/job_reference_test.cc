// docs/jobs.md against the parser: every key and every word that a job file may hold is in it, and its example works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_split.h"
#include "common/job/job_parser.h"
#include "common/strings.h"
#include "coordinator/local/job_test.h"

namespace millrace {
namespace {

using testing::HasSubstr;

std::string Reference() {
  std::ifstream file(MILLRACE_SOURCE_DIR "/docs/jobs.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty());
  return text.str();
}

// What the parser says it would take instead of the word `zzzz`, which `job` holds.
std::vector<std::string> ChoicesIn(const std::string& job) {
  const std::string error(ToStd(ParseJob("job.yaml", job).status().message()));
  constexpr std::string_view kBefore = "use one of ";
  const size_t at = error.find(kBefore);
  EXPECT_NE(at, std::string::npos) << job << "\n" << error;
  if (at == std::string::npos) return {};
  return absl::StrSplit(error.substr(at + kBefore.size()), ", ");
}

std::string WithStage(const std::string& stage) {
  return StrCat("name: a\nkey: k\nstages: [ { ", stage, " } ]\n");
}
std::string With(const std::string& line) { return StrCat(WithStage("filter: r.a"), line, "\n"); }

// A job for each place where the parser chooses from words, with a word there that it does not know.
std::vector<std::string> EveryPlace() {
  std::vector<std::string> jobs = {
      With("zzzz: 1"),
      With("source: { zzzz: 1 }"),
      With("source: { format: zzzz }"),
      With("source: { format: csv, types: { a: zzzz } }"),
      With("time: { zzzz: 1 }"),
      With("sink: zzzz"),
      With("sink: { zzzz: 1 }"),
      With("sink: { file: { zzzz: 1 } }"),
      With("sink: { http: { zzzz: 1 } }"),
      With("sink: { http: { url: 'http://x', format: zzzz } }"),
      With("on_error: zzzz"),
      With("retry: { zzzz: 1 }"),
      With("commit: { zzzz: 1 }"),
      With("retain: zzzz"),
      With("tests: [ { zzzz: 1 } ]"),
      With("tests: [ { name: a, input: [], expect: [ { zzzz: 1 } ] } ]"),
      With("tests: [ { name: a, input: [], expect: [], calls: [ { zzzz: 1 } ] } ]"),
      "name: a\nkey: { zzzz: 1 }\nstages: [ { filter: r.a } ]\n",
      WithStage("zzzz: 1"),
      WithStage("filter: r.a, ordered: zzzz"),
      WithStage("keyed: { zzzz: 1 }"),
      WithStage("dedupe: { zzzz: 1 }"),
      WithStage("lookup: { zzzz: 1 }"),
      WithStage("lookup: { table: a.csv, key: k, by: r.a, as: b, missing: zzzz }"),
      WithStage("partition: [ { zzzz: 1 } ]"),
      WithStage("broadcast: [ { zzzz: 1 } ]"),
      WithStage("rate_limit: { zzzz: 1 }"),
      WithStage("rate_limit: { rate: 1/s, per: zzzz }"),
      WithStage("rate_limit: { rate: 1/s, excess: zzzz }"),
      WithStage("aggregate: { n: count() }, emit: zzzz"),
      WithStage("call: { zzzz: 1 }"),
      WithStage("call: { http: 'http://x', method: zzzz }"),
      WithStage("call: { http: 'http://x', result: r }, ordered: zzzz"),
      WithStage("call: { http: 'http://x', result: r }, batch: { zzzz: 1 }"),
      WithStage("window: { zzzz: 1 }"),
      WithStage("window: { tumbling: 1h, late: zzzz, aggregate: { n: count() } }"),
  };
  for (const std::string& kind : ChoicesIn(WithStage("zzzz: 1"))) {
    jobs.push_back(WithStage(StrCat(kind, ": x, zzzz: 1")));
  }
  return jobs;
}

TEST(JobReferenceTest, NamesEveryKeyAndWordThatTheParserTakes) {
  const std::string reference = Reference();
  std::set<std::string> words;
  for (const std::string& job : EveryPlace()) {
    for (const std::string& word : ChoicesIn(job)) words.insert(word);
  }
  EXPECT_GT(words.size(), 30u);
  for (const std::string& word : words) {
    EXPECT_THAT(reference,
                testing::AnyOf(HasSubstr(StrCat("`", word, "`")), HasSubstr(StrCat(": ", word, " }"))));
  }
}

TEST(JobReferenceTest, ItsExamplePassesItsOwnTests) {
  const std::string reference = Reference();
  const size_t begin = reference.find("```yaml\n") + 8;
  const size_t end = reference.find("```", begin);
  const auto spec = ParseJob("jobs.md", reference.substr(begin, end - begin));
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_FALSE(spec->tests.empty());
  for (const TestSpec& test : spec->tests) {
    const auto outcome = RunJobTest(*spec, test);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_TRUE(outcome->passed) << outcome->report;
  }
}

}  // namespace
}  // namespace millrace
