#include "common/pipeline/window_stage.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "common/broker_limits.h"
#include "common/job/window_parser.h"
#include "common/pipeline/event_time.h"
#include "common/pipeline/timers.h"
#include "common/units.h"
#include "common/value/value.h"

namespace millrace {
namespace {

std::vector<std::string> OutputNames(const WindowStage& what) {
  std::vector<std::string> names;
  for (const AggregateColumn& column : what.columns) names.push_back(column.name);
  names.emplace_back(kWindowStartField);
  names.emplace_back(kWindowEndField);
  return names;
}

std::vector<size_t> ColumnsOf(const WindowStage& what, std::initializer_list<AggregateFunction> functions) {
  std::vector<size_t> columns;
  for (size_t i = 0; i < what.columns.size(); ++i) {
    if (std::count(functions.begin(), functions.end(), what.columns[i].function) > 0) columns.push_back(i);
  }
  return columns;
}

WindowRowFormat FormatOf(const WindowStage& what, size_t ordered_columns) {
  return what.kind == WindowStage::Kind::kSession
             ? WindowRowFormat::OfSessions(ordered_columns)
             : WindowRowFormat::OfFixedSize(absl::ToInt64Milliseconds(what.size));
}

}  // namespace

WindowStageRunner::WindowStageRunner(const StageSpec& spec, TableId table, const ErrorPolicy& job_errors,
                                     StepContext* context)
    : WindowStageRunner(spec, std::get<WindowStage>(spec.what), table, job_errors, context) {}

WindowStageRunner::WindowStageRunner(const StageSpec& spec, const WindowStage& what, TableId table,
                                     const ErrorPolicy& job_errors, StepContext* context)
    : Stage(spec, job_errors, context),
      table_(table),
      kind_(what.kind),
      late_(what.late),
      gap_ms_(absl::ToInt64Milliseconds(what.size)),
      lateness_ms_(absl::ToInt64Milliseconds(what.lateness)),
      fixed_{absl::ToInt64Milliseconds(what.size), absl::ToInt64Milliseconds(what.every)},
      layout_(what.columns),
      columns_(what.columns),
      names_(OutputNames(what)),
      fields_(names_.begin(), names_.end()),
      distinct_columns_(ColumnsOf(what, {AggregateFunction::kDistinct})),
      ordered_columns_(ColumnsOf(what, {AggregateFunction::kFirst, AggregateFunction::kLast})),
      format_(FormatOf(what, ordered_columns_.size())),
      members_(kSecondTable + table),
      inputs_(what.columns),
      is_new_member_(what.columns.size(), 0),
      takes_second_(what.columns.size(), 0),
      moved_members_(what.columns.size(), 0) {
  for (const std::string& name : names_) names_bytes_ += name.size() + sizeof(uint64_t) + 1;
}

int64_t WindowStageRunner::ClosedUntilMs() const {
  const int64_t closed_ms = DelayedEventTime(context().event_time_ms, event_delay_ms() + lateness_ms_);
  return std::clamp(closed_ms, -2 * kMaxWindowTimeMs, 2 * kMaxWindowTimeMs);
}

absl::Status WindowStageRunner::LoadRow(std::string_view key) {
  const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
  if (slot.ok()) row_.assign((*slot)->value());
  return slot.status();
}

absl::Status WindowStageRunner::StoreRow(std::string_view key, std::string_view row) {
  const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
  if (!slot.ok()) return slot.status();
  if (row.empty()) {
    (*slot)->Erase();
  } else {
    std::memcpy((*slot)->Mutable(row.size()), row.data(), row.size());
  }
  return absl::OkStatus();
}

absl::Status WindowStageRunner::Process(const RecordView& record) {
  if (record.time_ms < -kMaxWindowTimeMs || record.time_ms > kMaxWindowTimeMs) {
    return Fail(StrCat("its event time, ", record.time_ms, " ms, is too far from 1970 to be in a window"));
  }
  if (absl::Status status = inputs_.Read(record, context().frame_serial); !status.ok()) return Fail(status);
  if (absl::Status status = LoadRow(record.key); !status.ok()) return status;
  next_row_.clear();
  NextRow next;
  absl::Status added = sessions() ? AddToSession(record, &next) : AddToFixed(record, &next);
  if (!added.ok()) return added;
  if (next.is_late) return RefuseLate(record);
  if (next.windows > kMaxOpenWindowsOfKey) {
    return Fail(StrCat("its key has ", kMaxOpenWindowsOfKey,
                       " open windows, the most there may be — try longer windows, or less `lateness`"));
  }
  if (next_row_.size() > kMaxOpenWindowBytesOfKey) {
    return Fail(StrCat("the open windows of its key would take over ", FormatSize(kMaxOpenWindowBytesOfKey),
                       " — keep less in them, or less `lateness`"));
  }
  if (absl::Status status = Note(record.key, next); !status.ok()) return status;
  return StoreRow(record.key, next_row_);
}

absl::Status WindowStageRunner::RefuseLate(const RecordView& record) {
  if (late_ == WindowStage::Late::kDrop) {
    ++state().progress().skipped;
    return absl::OkStatus();
  }
  const int64_t came_to_ms = DelayedEventTime(context().event_time_ms, event_delay_ms());
  return FailAsLetter(StrCat("late: it is of ", FormatTime(record.time_ms), ", event time had come to ",
                             FormatTime(came_to_ms), " and its window was closed — try more `lateness` than ",
                             millrace::FormatDuration(absl::Milliseconds(lateness_ms_))));
}

absl::Status WindowStageRunner::Note(std::string_view key, const NextRow& next) {
  if (next.noted_before_ms == next.noted_ms) return absl::OkStatus();
  if (next.noted_before_ms != kNoTime) waiting().Erase(EncodeTimer({next.noted_before_ms, key}));
  absl::Status inserted = waiting().Insert(EncodeTimer({next.noted_ms, key}));
  return inserted.ok() ? inserted : Fail(StrCat("its window cannot be opened: ", inserted.message()));
}

int64_t WindowStageRunner::FirstDueMs(Clock clock) const {
  if (clock == Clock::kLog) return kEndOfTime;
  return WatermarkFor(millrace::FirstDueMs(waiting()), event_delay_ms() + lateness_ms_);
}

int64_t WindowStageRunner::NextDueMs(State& state) const {
  if (!context().log_time_is_event_time) return kEndOfTime;
  const OrderedSet& waits = state.Ordered(kSecondTable + table_);
  return WatermarkFor(millrace::FirstDueMs(waits), event_delay_ms() + lateness_ms_);
}

absl::Status WindowStageRunner::RunFirst(Clock, UnitRunner run) {
  const std::string item(waiting().First());
  waiting().Erase(item);
  Timer due;
  if (absl::Status status = DecodeTimer(item, &due); !status.ok()) return status;
  if (absl::Status status = LoadRow(due.key); !status.ok()) return status;
  std::string_view rest = row_;
  WindowRowFormat::Head head;
  OpenWindow window;
  if (absl::Status status = format_.TakeHead(&rest, &head); !status.ok()) return status;
  const std::string_view windows = rest;
  if (absl::Status status = format_.Take(&rest, &window); !status.ok()) return status;
  if (window.end_ms > due.due_ms) return LookAgain(due.key, head, window.end_ms, windows);

  output_.clear();
  if (absl::Status shown = AppendWindow(window, &output_); !shown.ok()) return shown;
  const RecordView output{
      .key = due.key,
      .value = output_,
      .shape = kFirstRowShape,
      .fields = &fields_,
      .time_ms = window.end_ms - 1,  // the last of it, so that a window of windows holds it
      .offset = {},
      .index = 0,
      .raw_headers = {}};
  bool is_out = false;
  absl::Status ran = run(output.key, output.time_ms, [&] {
    absl::Status status = TakeOut(due.key, head, window, rest);
    if (!status.ok()) return status;
    context().due_value = &output;
    status = HandOn(output);
    is_out = status.ok();
    return status;
  });
  // What became a dead letter is put back where it was; it is closed all the same.
  return !ran.ok() || is_out ? ran : TakeOut(due.key, head, window, rest);
}

// A session that has gone on since its key was noted.
absl::Status WindowStageRunner::LookAgain(std::string_view key, WindowRowFormat::Head head, int64_t end_ms,
                                          std::string_view rest) {
  head.noted_ms = end_ms;
  next_row_.clear();
  format_.AppendHead(head, &next_row_);
  next_row_.append(rest);
  if (absl::Status stored = StoreRow(key, next_row_); !stored.ok()) return stored;
  return waiting().Insert(EncodeTimer({end_ms, key}));
}

absl::Status WindowStageRunner::TakeOut(std::string_view key, const WindowRowFormat::Head& head,
                                        const OpenWindow& window, std::string_view rest) {
  for (const size_t column : distinct_columns_) {
    absl::Status dropped = members_.Drop(state(), {key, window.id, column});
    if (!dropped.ok()) return dropped;
  }
  if (rest.empty()) return StoreRow(key, {});
  std::string_view behind = rest;
  OpenWindow next;
  if (absl::Status status = format_.Take(&behind, &next); !status.ok()) return status;
  return LookAgain(key, head, next.end_ms, rest);
}

absl::Status WindowStageRunner::AppendWindow(const OpenWindow& window, std::string* row) const {
  if (absl::Status status = layout_.AppendRow(window.state, row); !status.ok()) return status;
  PackWriter out(row);
  out.Int(window.start_ms);
  out.Int(window.end_ms);
  return absl::OkStatus();
}

absl::Status WindowStageRunner::AppendStateJson(std::string_view value, std::string* out) const {
  WindowRowFormat::Head head;
  if (absl::Status status = format_.TakeHead(&value, &head); !status.ok()) return status;
  std::string row;
  char separator = '[';
  while (!value.empty()) {
    OpenWindow window;
    if (absl::Status status = format_.Take(&value, &window); !status.ok()) return status;
    row.clear();
    if (absl::Status status = AppendWindow(window, &row); !status.ok()) return status;
    out->push_back(std::exchange(separator, ','));
    if (absl::Status status = AppendJson({row, kFirstRowShape, &fields_}, out); !status.ok()) return status;
  }
  if (separator == '[') out->push_back('[');
  out->push_back(']');
  return absl::OkStatus();
}

}  // namespace millrace
