// The `window` stage: aggregates for each key and window of event time, handed on when the window closes.
//
// A key's open windows lie in one row of the first table (window_row.h), the values that `distinct` has met in rows of
// the second (window_members.h). The ordered set of the second has each key that has windows once, under a time not
// behind the end of the first of them: for tumbling and sliding ones it is that end; that of a session grows with
// every record, and is looked at again when it would have been. So windows close in order of (end, key, start).
//
// A window closes when event time, as it is at this stage, has passed its end by `lateness`; a record that belongs
// only to such windows is late. An open window does not care for the job's `ttl`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/aggregate_inputs.h"
#include "common/pipeline/aggregate_state.h"
#include "common/pipeline/stage.h"
#include "common/pipeline/window_members.h"
#include "common/pipeline/window_row.h"
#include "common/pipeline/window_times.h"

namespace millrace {

// A record that would go beyond one of these fails. How many keys of a partition have open windows is bounded by
// kMaxOrderedSet.
inline constexpr size_t kMaxOpenWindowsOfKey = 10'000;
inline constexpr size_t kMaxOpenWindowBytesOfKey = 16 << 20;

// Not thread-safe.
class WindowStageRunner final : public Stage, public TimedStage {
 public:
  // REQUIRES: spec.what is a WindowStage. `context` must outlive the stage.
  WindowStageRunner(const StageSpec& spec, TableId table, const ErrorPolicy& job_errors,
                    StepContext* context);

  absl::Status Process(const RecordView& record) override;
  Traits traits() const override {
    return {.keeps_state = true, .runs_code = false, .fails_late = !distinct_columns_.empty()};
  }
  void Prefetch(absl::Span<const std::string_view> keys) override { state().Prefetch(table_, keys); }
  // Where event time goes with log time, a tick makes a window close.
  int64_t NextDueMs(State& state) const override;
  absl::Status AppendStateJson(std::string_view value, std::string* out) const override;

  bool Waits(Clock clock) const override { return clock == Clock::kEvent && waiting().size() > 0; }
  int64_t FirstDueMs(Clock clock) const override;
  absl::Status RunFirst(Clock clock, UnitRunner run) override;
  bool repeats() const override { return false; }

 private:
  WindowStageRunner(const StageSpec& spec, const WindowStage& what, TableId table,
                    const ErrorPolicy& job_errors, StepContext* context);

  // What a record makes of its key's row.
  struct NextRow {
    bool is_late = false;
    int64_t noted_before_ms = 0;  // kNoTime: there was none
    int64_t noted_ms = 0;
    size_t windows = 0;
  };
  // Both read row_ and leave the row to come in next_row_. Their failures are the record's (Fail) or the State's.
  absl::Status AddToFixed(const RecordView& record, NextRow* next);
  absl::Status AddToSession(const RecordView& record, NextRow* next);
  // The open sessions from `first` up to `last` become one with the record in it, appended to next_row_.
  absl::Status JoinSessions(const RecordView& record, size_t first, size_t last,
                            const WindowRowFormat::Head& head);
  absl::Status MergeSessions(std::string_view key, const OpenWindow& second, OpenWindow* into);
  // Adds the record that was read to the window's state, which is next_state_ from then on.
  absl::Status AddRecord(std::string_view key, OpenWindow* window);
  void NoteArrival(uint64_t record);
  absl::Status CheckSize(std::string_view key, std::string_view state);

  absl::Status RefuseLate(const RecordView& record);
  absl::Status Note(std::string_view key, const NextRow& next);
  absl::Status StoreRow(std::string_view key, std::string_view row);
  absl::Status LoadRow(std::string_view key);
  // Takes the window out of row_, which it is the first of; `rest` are those behind it.
  absl::Status TakeOut(std::string_view key, const WindowRowFormat::Head& head, const OpenWindow& window,
                       std::string_view rest);
  absl::Status LookAgain(std::string_view key, WindowRowFormat::Head head, int64_t end_ms,
                         std::string_view rest);
  absl::Status AppendWindow(const OpenWindow& window, std::string* row) const;

  OrderedSet& waiting() const { return state().Ordered(kSecondTable + table_); }
  // Windows that end at or before this are closed.
  int64_t ClosedUntilMs() const;
  bool sessions() const { return kind_ == WindowStage::Kind::kSession; }

  const TableId table_;
  const WindowStage::Kind kind_;
  const WindowStage::Late late_;
  const int64_t gap_ms_;
  const int64_t lateness_ms_;
  const FixedWindows fixed_;
  const AggregateLayout layout_;
  const std::vector<AggregateColumn> columns_;
  const std::vector<std::string> names_;
  FieldNames fields_;  // views of names_
  std::vector<size_t> distinct_columns_;
  std::vector<size_t>
      ordered_columns_;  // `first` and `last`, whose values come with numbers of their records
  size_t names_bytes_ = 0;
  const WindowRowFormat format_;
  WindowMembers members_;

  // Scratch, reused from record to record.
  AggregateInputs inputs_;
  std::vector<uint8_t> is_new_member_;
  std::vector<uint8_t> takes_second_;
  std::vector<int64_t> moved_members_;
  std::vector<OpenWindow> open_;  // views of row_
  std::string member_scratch_;
  std::string row_;
  std::string next_row_;
  std::string next_state_;
  std::string merged_state_;
  std::string arrivals_;
  std::string output_;
};

}  // namespace millrace
