// Texts that nobody means well with: refused on one line, soon, whatever they hold.
#include <gtest/gtest.h>

#include <random>

#include "common/job/job_parser.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kWrongJob = R"(name: delays
source: { format: csv, types: { zip: string }, max_record: 64KiB }
key: [origin, carrier.code]
time: { field: date, format: '%Y/%m/%d %H:%M' }
partitions: 8
stages:
  - filter: r.delay ~= nil
    on_error: skip
  - keyed:
      lua: |
        emit(r)
  - aggregate: { n: count(), total: sum(delay) }
    emit: every 5s
retry: { attempts: 4, backoff: 50ms..2s }
tests: [ { name: t, input: [ 'a,b' ], expect: [ { key: k, value: [ 1, null ] } ] } ]
)";

// The status of what must be refused, on one line.
void ExpectRefused(std::string_view text) {
  const auto spec = ParseJob("job.yaml", text);
  ASSERT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ToStd(spec.status().message()).find('\n'), std::string_view::npos);
}

TEST(HostileJobFile, RefusesTenMegabytesOfGarbage) {
  std::mt19937_64 random(1);
  std::string garbage(10 << 20, '\0');
  for (char& c : garbage) c = static_cast<char>(random());
  ExpectRefused(garbage);
  ExpectRefused(std::string_view(garbage).substr(0, kMaxJobFileBytes));
  ExpectRefused(std::string(10 << 20, 'a'));
}

TEST(HostileJobFile, RefusesABombBeforeItExpands) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) StrAppend(&bomb, j == 0 ? "" : ", ", "*a", i - 1);
    StrAppend(&bomb, "]\n");
  }
  ExpectRefused(bomb);
}

TEST(HostileJobFile, RefusesDeepNestingInEveryNotation) {
  for (const std::string_view opening :
       {"[", "{", "[[a]: ", "- ", "? ", "{a: ", "a: [", "!", "&", "'", "\"", "|\n ", "# "}) {
    std::string text;
    while (text.size() < kMaxJobFileBytes / 2) text += opening;
    ExpectRefused(text);
  }
  std::string indented;
  for (int depth = 0; depth < 1000; ++depth)
    StrAppend(&indented, std::string(static_cast<size_t>(depth), ' '), "a:\n");
  ExpectRefused(indented);
}

TEST(HostileJobFile, SurvivesRandomMutations) {
  constexpr uint64_t kSeed = 20010101;
  std::mt19937_64 random(kSeed);
  const std::string_view alphabet = " \n:-[]{}&*!|>'\"%@`#,?0a.\t\r\xff";
  int parsed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text(kWrongJob);
    for (uint64_t change = random() % 4 + 1; change > 0; --change) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
        default:
          text.erase(at, random() % 8 + 1);
      }
    }
    const auto spec = ParseJob("job.yaml", text);
    if (spec.ok()) {
      ++parsed;
      continue;
    }
    ASSERT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << "seed " << kSeed << "\n" << text;
    ASSERT_EQ(ToStd(spec.status().message()).find('\n'), std::string_view::npos) << text;
  }
  EXPECT_GT(parsed, 0) << "the mutations never leave the file right: they test little";
}

}  // namespace
}  // namespace millrace
