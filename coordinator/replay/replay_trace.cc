#include "coordinator/replay/replay_trace.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "common/escape.h"
#include "common/pipeline/event_time.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"

namespace millrace {
namespace {

// A state as the value of a JSON member.
std::string_view OrNull(const std::string& json) { return json.empty() ? std::string_view("null") : json; }

std::string_view OrNothing(const std::string& json) {
  return json.empty() ? std::string_view("(none)") : json;
}

RecordView ViewOfRejected(const DeadLetter& letter) {
  RecordView view;
  view.value = letter.value;
  view.shape = letter.shape;
  view.fields = letter.fields;
  return view;
}

}  // namespace

bool ReplayTrace::Wanted(const StepUnit& unit) const {
  const uint64_t offset = replay_->offset().value();
  return offset >= filter_.from && offset <= filter_.to && (!filter_.key || *filter_.key == unit.key);
}

// Empty for a job, or a key, without state.
std::string ReplayTrace::StateOf(std::string_view key) {
  auto json = replay_->pipeline().StateJson(replay_->state(), key);
  return json.ok() ? *std::move(json) : std::string();
}

void ReplayTrace::Begin(const StepUnit& unit) {
  unit_.reset();
  if (!Wanted(unit)) return;
  unit_.emplace();
  unit_->kind = unit.kind;
  unit_->offset = replay_->offset();
  unit_->index = unit.position;
  unit_->key = std::string(unit.key);
  unit_->time_ms = unit.time_ms;
  if (unit.record != nullptr) AppendValueMember("value", *unit.record, &unit_->value_member);
  unit_->before = StateOf(unit.key);
}

void ReplayTrace::End(const absl::Status& status) {
  if (!unit_) return;
  unit_->after = StateOf(unit_->key);
  if (!status.ok()) unit_->fails_job = ToStd(status.message());
  ++shown_;
  visit_(*unit_);
  unit_.reset();
}

void ReplayTrace::Emit(const RecordView& record) {
  if (!unit_) return;
  std::string line;
  AppendResultLine(record, replay_->partition(), &line);
  line.pop_back();
  unit_->outputs.push_back(std::move(line));
}

void ReplayTrace::Reject(const DeadLetter& letter) {
  if (!unit_) return;
  if (unit_->value_member.empty() && unit_->kind == StepUnit::Kind::kRecord) {
    AppendValueMember("value", ViewOfRejected(letter), &unit_->value_member);
  }
  std::string json = "{";
  AppendTextMember("stage", letter.stage, &json);
  json.push_back(',');
  AppendTextMember("error", letter.error, &json);
  StrAppend(&json, ",\"attempts\":", letter.attempts, "}");
  unit_->rejected.push_back(std::move(json));
}

std::string ToJson(const ReplayedUnit& unit) {
  std::string out = StrCat("{\"offset\":", unit.offset.value(), ",\"index\":", unit.index, ",\"kind\":\"",
                           unit.kind == StepUnit::Kind::kRecord ? "record" : "due", "\",");
  AppendTextMember("key", unit.key, &out);
  if (!unit.value_member.empty()) StrAppend(&out, ",", unit.value_member);
  if (unit.time_ms != kNoTime) StrAppend(&out, ",\"time\":\"", FormatTime(unit.time_ms), "\"");
  StrAppend(&out, ",\"before\":", OrNull(unit.before), ",\"after\":", OrNull(unit.after), ",\"emitted\":[",
            absl::StrJoin(unit.outputs, ","), "],\"dead_letters\":[", absl::StrJoin(unit.rejected, ","), "]");
  if (!unit.fails_job.empty()) {
    out.push_back(',');
    AppendTextMember("fails_job", unit.fails_job, &out);
  }
  out.push_back('}');
  return out;
}

std::string ToText(const ReplayedUnit& unit) {
  std::string out = StrCat(unit.offset.value(), ".", unit.index, "  ", EscapeControls(unit.key));
  if (unit.time_ms != kNoTime) StrAppend(&out, "  ", FormatTime(unit.time_ms));
  out += unit.kind == StepUnit::Kind::kRecord ? "" : "  (due)";
  // Behind `"value":` or `"value_base64":` stands the value.
  const size_t colon = unit.value_member.find(':');
  if (colon != std::string::npos) StrAppend(&out, "  ", unit.value_member.substr(colon + 1));
  StrAppend(&out, "\n    state   ", OrNothing(unit.before));
  if (unit.before != unit.after) StrAppend(&out, "\n         -> ", OrNothing(unit.after));
  for (const std::string& output : unit.outputs) StrAppend(&out, "\n    emits   ", output);
  for (const std::string& letter : unit.rejected) StrAppend(&out, "\n    dead    ", EscapeControls(letter));
  if (!unit.fails_job.empty()) StrAppend(&out, "\n    fails   the job: ", EscapeControls(unit.fails_job));
  return out + "\n";
}

}  // namespace millrace
