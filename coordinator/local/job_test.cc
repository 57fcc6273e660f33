#include "coordinator/local/job_test.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/local/given_answers.h"
#include "coordinator/local/local_run.h"
#include "coordinator/results/result_line.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using SortedJson = nlohmann::json;  // members sorted: equal values are equal text

constexpr size_t kMaxDiffCells = 4'000'000;  // of the table that finds the longest common part
constexpr char kBar[] = " | ";

// Values by key, keys in the order in which they first came.
class ByKey {
 public:
  std::vector<std::string>& operator[](const std::string& key) {
    const auto [at, is_new] = values_.try_emplace(key);
    if (is_new) order_.push_back(key);
    return at->second;
  }
  const std::vector<std::string>& order() const { return order_; }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> order_;
};

// The value as comparable text. A number is what it is worth: an average of 10.0 meets an expected 10.
std::string ComparableText(SortedJson value) {
  const auto settle = [](SortedJson& json, const auto& self) -> void {
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    if (json.is_number_float()) {
      const double number = json.get<double>();
      if (std::abs(number) <= kExactIntegers && std::trunc(number) == number)
        json = static_cast<int64_t>(number);
    } else if (json.is_structured()) {
      for (SortedJson& item : json) self(item, self);
    }
  };
  settle(value, settle);
  return JsonText(value);
}

class Collector : public StepSink {
 public:
  void Emit(const RecordView& record) override {
    std::string text = "{";
    AppendValueMember("value", record, &text);
    const SortedJson value = SortedJson::parse(text + "}", nullptr, false);
    const auto plain = value.find("value");
    results[std::string(record.key)].push_back(ComparableText(plain != value.end() ? *plain : value));
  }
  void Reject(const DeadLetter& letter) override { errors.push_back(letter.error); }

  ByKey results;
  std::vector<std::string> errors;
};

// A key as a record's would be: text, or a number or list as it is written.
std::string KeyText(const SortedJson& key) {
  return key.is_string() ? key.get<std::string>() : JsonText(key);
}

absl::Status FeedInput(const JobSpec& spec, const TestSpec& test, CallObserver* observer,
                       LocalHandlers* handlers, Collector* collector) {
  GivenAnswers answers(test.calls);
  auto run = LocalRun::Create(spec, observer, handlers, &answers);
  if (!run.ok()) return run.status();
  auto extractor = KeyExtractor::Create(spec);
  if (!extractor.ok()) return extractor.status();
  bool header_due = spec.source.format == Format::kCsv;
  for (const std::string& line : test.input) {
    if (std::exchange(header_due, false)) {
      if (const absl::Status status = (*extractor)->SetCsvHeader(line); !status.ok()) return status;
      continue;
    }
    const auto decoded = (*extractor)->Decode(line);
    if (!decoded.ok()) {
      collector->errors.emplace_back(ToStd(decoded.status().message()));
    } else if (const absl::Status status = (*run)->Feed(decoded->record, *collector); !status.ok()) {
      return status;
    }
  }
  return (*run)->Finish(*collector);
}

// Which expected errors did not come, and which came unexpected. Each is matched once.
std::string DiffErrors(std::vector<std::string> expected, const std::vector<std::string>& got) {
  std::string report;
  for (const std::string& error : got) {
    const auto match = std::find_if(expected.begin(), expected.end(), [&](const std::string& part) {
      return error.find(part) != std::string::npos;
    });
    if (match != expected.end()) {
      expected.erase(match);
    } else {
      StrAppend(&report, "  + dead letter not expected: ", error, "\n");
    }
  }
  for (const std::string& part : expected) {
    StrAppend(&report, "  - dead letter did not come: ", part, "\n");
  }
  return report;
}

size_t WidthOf(const std::vector<std::string>& lines) {
  size_t width = 0;
  for (const std::string& line : lines) width = std::max(width, line.size());
  return width;
}

// Lengths of the longest common part of expected[i..] and got[j..].
std::vector<std::vector<uint32_t>> CommonLengths(const std::vector<std::string>& expected,
                                                 const std::vector<std::string>& got) {
  std::vector<std::vector<uint32_t>> lengths(expected.size() + 1, std::vector<uint32_t>(got.size() + 1));
  for (size_t i = expected.size(); i-- > 0;) {
    for (size_t j = got.size(); j-- > 0;) {
      lengths[i][j] =
          expected[i] == got[j] ? lengths[i + 1][j + 1] + 1 : std::max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

}  // namespace

std::string AlignedDiff(const std::vector<std::string>& expected, const std::vector<std::string>& got) {
  const size_t width = std::max(WidthOf(expected), std::string_view("expected").size());
  std::string text;
  const auto row = [&](char sign, const std::string& left, const std::string& right) {
    StrAppend(&text, "  ", std::string(1, sign), " ", left, std::string(width - left.size(), ' '), kBar,
              right);
    while (text.back() == ' ') text.pop_back();
    text += '\n';
  };
  row(' ', "expected", "got");
  // Too long for the table: line against line.
  const bool aligned = (expected.size() + 1) * (got.size() + 1) <= kMaxDiffCells;
  const auto lengths = aligned ? CommonLengths(expected, got) : std::vector<std::vector<uint32_t>>();
  size_t i = 0, j = 0;
  while (i < expected.size() && j < got.size()) {
    if (expected[i] == got[j]) {
      row('=', expected[i++], got[j++]);
    } else if (!aligned || lengths[i + 1][j + 1] == lengths[i][j]) {
      row('!', expected[i++], got[j++]);
    } else if (lengths[i + 1][j] >= lengths[i][j + 1]) {
      row('-', expected[i++], "");
    } else {
      row('+', "", got[j++]);
    }
  }
  while (i < expected.size()) row('-', expected[i++], "");
  while (j < got.size()) row('+', "", got[j++]);
  return text;
}

absl::StatusOr<JobTestOutcome> RunJobTest(const JobSpec& spec, const TestSpec& test, CallObserver* observer,
                                          LocalHandlers* handlers) {
  ByKey expected;
  for (const std::string& text : test.expect) {
    const SortedJson line = SortedJson::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("key") || !line.contains("value")) {
      return absl::InvalidArgumentError(StrCat("test `", test.name, "`, line ", test.line,
                                               ": an expected result is {\"key\": …, \"value\": …}"));
    }
    expected[KeyText(line["key"])].push_back(ComparableText(line["value"]));
  }
  Collector collector;
  const absl::Status ran = FeedInput(spec, test, observer, handlers, &collector);
  if (!ran.ok() && !absl::IsAborted(ran)) return ran;
  JobTestOutcome outcome;
  if (!ran.ok()) StrAppend(&outcome.report, "  the job fails: ", ToStd(ran.message()), "\n");
  for (const std::string& key : collector.results.order()) expected[key];
  for (const std::string& key : expected.order()) {
    const auto& got = collector.results[key];
    if (expected[key] == got) continue;
    StrAppend(&outcome.report, "  key ", JsonText(SortedJson(key)), "\n", AlignedDiff(expected[key], got));
  }
  outcome.report += DiffErrors(test.dead_letters, collector.errors);
  outcome.passed = outcome.report.empty();
  return outcome;
}

}  // namespace millrace
