// Which windows a record goes into, and what it makes of them.
#include <algorithm>

#include "common/broker_limits.h"
#include "common/frame/wire.h"
#include "common/pipeline/timers.h"
#include "common/pipeline/window_stage.h"

namespace millrace {
namespace {

constexpr size_t kArrivalBytes = sizeof(uint64_t);

uint64_t ArrivalAt(std::string_view arrivals, size_t i) {
  return wire::LoadFixed<uint64_t>(arrivals.data() + i * kArrivalBytes);
}

}  // namespace

absl::Status WindowStageRunner::CheckSize(std::string_view key, std::string_view state_bytes) {
  const size_t bytes = key.size() + state_bytes.size() + names_bytes_;
  return bytes > kMaxOutputBytes ? Fail(OutputTooLarge(bytes)) : absl::OkStatus();
}

absl::Status WindowStageRunner::AddRecord(std::string_view key, OpenWindow* window) {
  for (const size_t column : distinct_columns_) {
    const AggregateInput& input = *inputs_.by_column()[column];
    is_new_member_[column] = 0;
    if (!input.present) continue;
    const absl::StatusOr<bool> added =
        members_.Add(state(), {key, window->id, column}, DistinctMember(input, &member_scratch_));
    if (!added.ok()) return added.status();
    is_new_member_[column] = *added ? 1 : 0;
  }
  if (absl::Status status = layout_.Apply(window->state, inputs_.by_column(), is_new_member_, &next_state_);
      !status.ok()) {
    return absl::IsInvalidArgument(status) ? Fail(status) : status;
  }
  window->state = next_state_;
  return CheckSize(key, next_state_);
}

absl::Status WindowStageRunner::AddToFixed(const RecordView& record, NextRow* next) {
  const int64_t last = fixed_.LastStart(record.time_ms);
  int64_t start = std::max(fixed_.FirstStart(record.time_ms), fixed_.FirstStart(ClosedUntilMs()));
  next->is_late = start > last;
  if (next->is_late) return absl::OkStatus();
  std::string_view rest = row_;
  OpenWindow kept;
  bool has_kept = false;
  const auto advance = [&]() -> absl::Status {
    has_kept = !rest.empty();
    return has_kept ? format_.Take(&rest, &kept) : absl::OkStatus();
  };
  const auto append = [&](const OpenWindow& window) {
    if (next->windows++ == 0) next->noted_ms = window.end_ms;
    format_.Append(window, &next_row_);
  };
  if (absl::Status status = advance(); !status.ok()) return status;
  next->noted_before_ms = has_kept ? kept.end_ms : kNoTime;
  for (; start <= last; start += fixed_.every_ms) {
    while (has_kept && kept.start_ms < start) {
      append(kept);
      if (absl::Status status = advance(); !status.ok()) return status;
    }
    const bool is_open = has_kept && kept.start_ms == start;
    OpenWindow window{.start_ms = start,
                      .end_ms = start + fixed_.size_ms,
                      .id = static_cast<uint64_t>(start),
                      .arrivals = {},
                      .state = is_open ? kept.state : std::string_view()};
    if (absl::Status status = AddRecord(record.key, &window); !status.ok()) return status;
    append(window);
    if (!is_open) continue;
    if (absl::Status status = advance(); !status.ok()) return status;
  }
  while (has_kept) {
    append(kept);
    if (absl::Status status = advance(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status WindowStageRunner::AddToSession(const RecordView& record, NextRow* next) {
  std::string_view rest = row_;
  WindowRowFormat::Head head;
  next->noted_before_ms = kNoTime;
  if (!rest.empty()) {
    if (absl::Status status = format_.TakeHead(&rest, &head); !status.ok()) return status;
    next->noted_before_ms = head.noted_ms;
  }
  ++head.records;
  open_.clear();
  while (!rest.empty()) {
    if (absl::Status status = format_.Take(&rest, &open_.emplace_back()); !status.ok()) return status;
  }
  // Alone the record would be a session up to `own_end`. Those that overlap it become one: at most two, since
  // they do not overlap one another and none is shorter than the gap.
  const int64_t own_end = record.time_ms + gap_ms_;
  size_t first = 0;
  while (first < open_.size() && open_[first].end_ms <= record.time_ms) ++first;
  size_t last = first;
  while (last < open_.size() && open_[last].start_ms < own_end) ++last;
  next->is_late = first == last && own_end <= ClosedUntilMs();
  if (next->is_late) return absl::OkStatus();

  const int64_t joined_end = first == last ? own_end : std::max(own_end, open_[last - 1].end_ms);
  const int64_t first_end = first == 0 ? joined_end : open_.front().end_ms;
  head.noted_ms = next->noted_before_ms == kNoTime ? first_end : std::min(first_end, next->noted_before_ms);
  next->noted_ms = head.noted_ms;
  next->windows = open_.size() + 1 - (last - first);
  format_.AppendHead(head, &next_row_);
  for (size_t i = 0; i < first; ++i) format_.Append(open_[i], &next_row_);
  if (absl::Status status = JoinSessions(record, first, last, head); !status.ok()) return status;
  for (size_t i = last; i < open_.size(); ++i) format_.Append(open_[i], &next_row_);
  return absl::OkStatus();
}

absl::Status WindowStageRunner::JoinSessions(const RecordView& record, size_t first, size_t last,
                                             const WindowRowFormat::Head& head) {
  OpenWindow window{.start_ms = record.time_ms,
                    .end_ms = record.time_ms + gap_ms_,
                    .id = head.records,
                    .arrivals = {},
                    .state = {}};
  if (first == last) {
    arrivals_.assign(ordered_columns_.size() * kArrivalBytes, '\0');
  } else {
    window.start_ms = std::min(window.start_ms, open_[first].start_ms);
    window.end_ms = std::max(window.end_ms, open_[last - 1].end_ms);
    window.id = open_[first].id;
    window.state = open_[first].state;
    arrivals_.assign(open_[first].arrivals);
  }
  if (absl::Status status = AddRecord(record.key, &window); !status.ok()) return status;
  NoteArrival(head.records);
  for (size_t i = first + 1; i < last; ++i) {
    if (absl::Status status = MergeSessions(record.key, open_[i], &window); !status.ok()) return status;
  }
  window.arrivals = arrivals_;
  format_.Append(window, &next_row_);
  return absl::OkStatus();
}

// `first` and `last` go by the order of the log, also when sessions are joined: so each value is kept with the
// number of its record.
void WindowStageRunner::NoteArrival(uint64_t record) {
  for (size_t i = 0; i < ordered_columns_.size(); ++i) {
    const size_t column = ordered_columns_[i];
    const bool keeps_first = columns_[column].function == AggregateFunction::kFirst;
    if (!inputs_.by_column()[column]->present || (keeps_first && ArrivalAt(arrivals_, i) != 0)) continue;
    wire::StoreFixed(arrivals_.data() + i * kArrivalBytes, record);
  }
}

absl::Status WindowStageRunner::MergeSessions(std::string_view key, const OpenWindow& second,
                                              OpenWindow* into) {
  for (size_t i = 0; i < ordered_columns_.size(); ++i) {
    const size_t column = ordered_columns_[i];
    const bool keeps_first = columns_[column].function == AggregateFunction::kFirst;
    const uint64_t ours = ArrivalAt(arrivals_, i);
    const uint64_t theirs = ArrivalAt(second.arrivals, i);
    const bool takes = theirs != 0 && (ours == 0 || (keeps_first ? theirs < ours : theirs > ours));
    takes_second_[column] = takes ? 1 : 0;
    if (takes) wire::StoreFixed(arrivals_.data() + i * kArrivalBytes, theirs);
  }
  for (const size_t column : distinct_columns_) {
    const absl::StatusOr<int64_t> moved =
        members_.Move(state(), {key, second.id, column}, {key, into->id, column});
    if (!moved.ok()) return moved.status();
    moved_members_[column] = *moved;
  }
  const AggregateMerge merge{into->state, second.state, takes_second_, moved_members_};
  if (absl::Status status = layout_.Merge(merge, &merged_state_); !status.ok()) {
    return absl::IsInvalidArgument(status) ? Fail(status) : status;
  }
  std::swap(next_state_, merged_state_);
  into->state = next_state_;
  return CheckSize(key, next_state_);
}

}  // namespace millrace
