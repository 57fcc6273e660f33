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
constexpr std::string_view kFailed = "failed";
constexpr std::string_view kLost = "lost";

}  // namespace

std::string EncodeVerdict(const Verdict& verdict) {
  FrameBuilder frame(FrameKind::kVerdict);
  const std::string key = StrCat(verdict.offset.value(), ".", verdict.record);
  RecordView record;
  record.key = key;
  record.value = verdict.reason;
  HeaderList headers;
  if (!verdict.stage.empty()) headers.emplace_back(kStageHeader, verdict.stage);
  if (verdict.outcome != Verdict::Outcome::kOverran) {
    headers.emplace_back(kOutcomeHeader, verdict.outcome == Verdict::Outcome::kFailed ? kFailed : kLost);
  }
  if (!headers.empty()) frame.AddHeaders(headers);
  frame.Add(record);
  return std::string(frame.Finish());
}

absl::StatusOr<Verdict> ParseVerdict(std::string_view payload) {
  absl::StatusOr<FrameView> frame = FrameView::Parse(payload);
  if (!frame.ok()) return frame.status();
  FrameView::Cursor records = frame->records();
  RecordView record;
  Verdict verdict;
  uint64_t offset = 0;
  if (frame->kind() == FrameKind::kVerdict && records.Next(&record)) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(ToAbsl(record.key), absl::MaxSplits('.', 1));
    if (absl::SimpleAtoi(parts.first, &offset) && absl::SimpleAtoi(parts.second, &verdict.record)) {
      verdict.offset = Offset(offset);
      verdict.reason = std::string(record.value);
      const absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers);
      if (!headers.ok()) return headers.status();
      for (const auto& [name, value] : *headers) {
        if (name == kStageHeader) verdict.stage = std::string(value);
        if (name == kOutcomeHeader && value == kFailed) verdict.outcome = Verdict::Outcome::kFailed;
        if (name == kOutcomeHeader && value == kLost) verdict.outcome = Verdict::Outcome::kLost;
      }
      return verdict;
    }
  }
  return absl::DataLossError("not a verdict");
}

}  // namespace millrace
