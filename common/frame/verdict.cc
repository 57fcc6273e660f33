#include "common/frame/verdict.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/frame/frame.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kStageHeader = "stage";
constexpr std::string_view kOutcomeHeader = "outcome";
constexpr std::string_view kRequestHeader = "request";
constexpr std::string_view kFailed = "failed";
constexpr std::string_view kLost = "lost";
constexpr std::string_view kAnswered = "answered";

std::string_view OutcomeText(Verdict::Outcome outcome) {
  switch (outcome) {
    case Verdict::Outcome::kOverran:
      return {};
    case Verdict::Outcome::kFailed:
      return kFailed;
    case Verdict::Outcome::kLost:
      return kLost;
    case Verdict::Outcome::kAnswered:
      return kAnswered;
  }
  return {};
}

bool ParsePlace(std::string_view key, Verdict* verdict) {
  const std::vector<absl::string_view> parts = absl::StrSplit(ToAbsl(key), '.');
  uint64_t offset = 0;
  const bool is_answer = verdict->outcome == Verdict::Outcome::kAnswered;
  if (parts.size() != (is_answer ? 3u : 2u) || !absl::SimpleAtoi(parts[0], &offset) ||
      !absl::SimpleAtoi(parts[1], &verdict->record)) {
    return false;
  }
  verdict->offset = Offset(offset);
  return !is_answer || absl::SimpleAtoi(parts[2], &verdict->nth);
}

absl::StatusOr<Verdict> VerdictOf(const RecordView& record) {
  const absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers);
  if (!headers.ok()) return headers.status();
  Verdict verdict;
  verdict.reason = std::string(record.value);
  for (const auto& [name, value] : *headers) {
    if (name == kStageHeader) verdict.stage = std::string(value);
    if (name == kRequestHeader) verdict.request = std::string(value);
    if (name == kOutcomeHeader && value == kFailed) verdict.outcome = Verdict::Outcome::kFailed;
    if (name == kOutcomeHeader && value == kLost) verdict.outcome = Verdict::Outcome::kLost;
    if (name == kOutcomeHeader && value == kAnswered) verdict.outcome = Verdict::Outcome::kAnswered;
  }
  if (!ParsePlace(record.key, &verdict)) return absl::DataLossError("not a verdict");
  return verdict;
}

}  // namespace

std::string EncodeVerdicts(absl::Span<const Verdict> verdicts) {
  FrameBuilder frame(FrameKind::kVerdict);
  for (const Verdict& verdict : verdicts) {
    std::string key = StrCat(verdict.offset.value(), ".", verdict.record);
    if (verdict.outcome == Verdict::Outcome::kAnswered) StrAppend(&key, ".", verdict.nth);
    RecordView record;
    record.key = key;
    record.value = verdict.reason;
    HeaderList headers;
    if (!verdict.stage.empty()) headers.emplace_back(kStageHeader, verdict.stage);
    const std::string_view outcome = OutcomeText(verdict.outcome);
    if (!outcome.empty()) headers.emplace_back(kOutcomeHeader, outcome);
    if (!verdict.request.empty()) headers.emplace_back(kRequestHeader, verdict.request);
    if (!headers.empty()) frame.AddHeaders(headers);
    frame.Add(record);
  }
  return std::string(frame.Finish());
}

absl::StatusOr<std::vector<Verdict>> ParseVerdicts(std::string_view payload) {
  absl::StatusOr<FrameView> frame = FrameView::Parse(payload);
  if (!frame.ok()) return frame.status();
  if (frame->kind() != FrameKind::kVerdict) return absl::DataLossError("not a verdict");
  FrameView::Cursor records = frame->records();
  RecordView record;
  std::vector<Verdict> verdicts;
  while (records.Next(&record)) {
    absl::StatusOr<Verdict> verdict = VerdictOf(record);
    if (!verdict.ok()) return verdict.status();
    verdicts.push_back(*std::move(verdict));
  }
  if (!records.status().ok()) return records.status();
  if (verdicts.empty()) return absl::DataLossError("not a verdict");
  return verdicts;
}

}  // namespace millrace
