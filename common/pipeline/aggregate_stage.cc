#include "common/pipeline/aggregate_stage.h"

#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/broker_limits.h"
#include "common/pipeline/aggregate_inputs.h"
#include "common/pipeline/aggregate_state.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr size_t kMembersErasedAtOnce = 1 << 16;

// What the rows of a key's members start with.
std::string MembersOf(std::string_view key) {
  std::string prefix;
  for (int shift = 24; shift >= 0; shift -= 8) prefix.push_back(static_cast<char>(key.size() >> shift));
  return prefix.append(key);
}

// The multiple of `every_ms` at or before `time_ms`.
int64_t BoundaryBefore(int64_t time_ms, int64_t every_ms) {
  const int64_t rest = time_ms % every_ms;
  return time_ms - (rest < 0 ? rest + every_ms : rest);
}

class AggregateStageImpl final : public Stage {
 public:
  AggregateStageImpl(const StageSpec& spec, TableId table, StateExpiry expiry, const ErrorPolicy& job_errors,
                     StepContext* context)
      : AggregateStageImpl(spec, std::get<AggregateStage>(spec.what), table, std::move(expiry), job_errors,
                           context) {}

  absl::Status Process(const RecordView& record) override;
  Traits traits() const override {
    const bool waits_for_end = mode_ == EmitSpec::Mode::kFinal || mode_ == EmitSpec::Mode::kEvery;
    return {.keeps_state = true, .runs_code = false, .emits_at_end = waits_for_end};
  }
  void Prefetch(absl::Span<const std::string_view> keys) override { state().Prefetch(table_, keys); }
  absl::Status PassLogTime(int64_t before_ms, int64_t now_ms, UnitRunner run) override;
  absl::Status Finish(int64_t time_ms, UnitRunner run) override;
  int64_t NextDueMs(State& state) const override;
  absl::Status AppendStateJson(std::string_view value, std::string* out) const override;

 private:
  AggregateStageImpl(const StageSpec& spec, const AggregateStage& what, TableId table, StateExpiry expiry,
                     const ErrorPolicy& job_errors, StepContext* context);

  absl::Status NoteMembers(std::string_view key);
  absl::Status AddMembers();
  absl::Status EraseMembers(std::string_view key);
  absl::Status EmitOne(std::string_view key, int64_t time_ms);
  absl::Status Drop(std::string_view key, int64_t time_ms, UnitRunner run);
  absl::Status EmitChanged(int64_t time_ms, UnitRunner run);
  absl::Status EmitAll(int64_t time_ms, UnitRunner run);
  RecordView Output(std::string_view key, int64_t time_ms) const {
    return {.key = key,
            .value = row_,
            .shape = kFirstRowShape,
            .fields = &fields_,
            .time_ms = time_ms,
            .offset = {},
            .index = 0,
            .raw_headers = {}};
  }

  const TableId table_;
  const EmitSpec::Mode mode_;
  const int64_t every_ms_;
  const AggregateLayout layout_;
  const std::vector<std::string> names_;
  FieldNames fields_;  // views of names_
  std::vector<size_t> distinct_columns_;
  size_t names_bytes_ = 0;
  StateExpiry expiry_;

  // Scratch, reused from record to record.
  AggregateInputs inputs_;
  std::vector<uint8_t> is_new_member_;
  std::vector<std::string> new_members_;  // keys in the second table
  std::string member_scratch_;
  std::string next_;
  std::string row_;
  std::string row_before_;
};

std::vector<std::string> ColumnNames(const AggregateStage& what) {
  std::vector<std::string> names;
  for (const AggregateColumn& column : what.columns) names.push_back(column.name);
  return names;
}

AggregateStageImpl::AggregateStageImpl(const StageSpec& spec, const AggregateStage& what, TableId table,
                                       StateExpiry expiry, const ErrorPolicy& job_errors,
                                       StepContext* context)
    : Stage(spec, job_errors, context),
      table_(table),
      mode_(what.emit.mode),
      every_ms_(std::max<int64_t>(1, absl::ToInt64Milliseconds(what.emit.every))),
      layout_(what.columns),
      names_(ColumnNames(what)),
      fields_(names_.begin(), names_.end()),
      expiry_(std::move(expiry)),
      inputs_(what.columns),
      is_new_member_(what.columns.size(), 0) {
  for (size_t i = 0; i < what.columns.size(); ++i) {
    if (what.columns[i].function == AggregateFunction::kDistinct) distinct_columns_.push_back(i);
    names_bytes_ += names_[i].size() + sizeof(uint64_t) + 1;  // a packed number may take 9
  }
}

absl::Status AggregateStageImpl::Process(const RecordView& record) {
  if (absl::Status status = inputs_.Read(record, context().frame_serial); !status.ok()) {
    return Fail(status);
  }
  if (!distinct_columns_.empty()) {
    if (absl::Status status = NoteMembers(record.key); !status.ok()) return status;
  }
  absl::StatusOr<StateSlot*> slot = state().Find(table_, record.key);
  if (!slot.ok()) return slot.status();
  const std::string_view before = (*slot)->value();
  if (absl::Status status = layout_.Apply(before, inputs_.by_column(), is_new_member_, &next_);
      !status.ok()) {
    return absl::IsInvalidArgument(status) ? Fail(status) : status;
  }
  // Before anything has changed, and whenever it is to be put out: the row is no larger than what is kept.
  const size_t bytes = record.key.size() + record.raw_headers.size() + next_.size() + names_bytes_;
  if (bytes > kMaxOutputBytes) return Fail(OutputTooLarge(bytes));
  bool emit = mode_ == EmitSpec::Mode::kEach;
  if (mode_ == EmitSpec::Mode::kChanges) {
    row_before_.clear();
    if ((*slot)->exists()) {
      if (absl::Status status = layout_.AppendRow(before, &row_before_); !status.ok()) return status;
    }
  } else if (mode_ == EmitSpec::Mode::kEvery && before != next_) {
    if (absl::Status status = state().Ordered(table_).Insert(record.key); !status.ok()) {
      return Fail(status);
    }
    if (slot = state().Find(table_, record.key); !slot.ok()) return slot.status();
  }
  std::memcpy((*slot)->Mutable(next_.size()), next_.data(), next_.size());
  if (!distinct_columns_.empty()) {
    if (absl::Status status = AddMembers(); !status.ok()) return status;
  }
  if (absl::Status status = expiry_.Touch(state(), record.key); !status.ok()) return status;
  if (mode_ == EmitSpec::Mode::kEach || mode_ == EmitSpec::Mode::kChanges) {
    row_.clear();
    if (absl::Status status = layout_.AppendRow(next_, &row_); !status.ok()) return status;
    if (mode_ == EmitSpec::Mode::kChanges) emit = row_ != row_before_;
  }
  if (!emit) return absl::OkStatus();
  RecordView output = Output(record.key, record.time_ms);
  output.raw_headers = record.raw_headers;
  return HandOn(output);
}

// Members lie in the second table under: length of the key, key, column, value. The count in the slot and the
// members change together or not at all.
absl::Status AggregateStageImpl::NoteMembers(std::string_view key) {
  new_members_.clear();
  for (const size_t column : distinct_columns_) {
    is_new_member_[column] = 0;
    const AggregateInput& input = *inputs_.by_column()[column];
    if (!input.present) continue;
    std::string member = MembersOf(key);
    member.push_back(static_cast<char>(column >> 8));
    member.push_back(static_cast<char>(column));
    member.append(DistinctMember(input, &member_scratch_));
    const absl::StatusOr<StateSlot*> slot = state().Find(kSecondTable + table_, member);
    if (!slot.ok()) return slot.status();
    if ((*slot)->exists()) continue;
    is_new_member_[column] = 1;
    new_members_.push_back(std::move(member));
  }
  return absl::OkStatus();
}

absl::Status AggregateStageImpl::AddMembers() {
  for (const std::string& member : new_members_) {
    const absl::StatusOr<StateSlot*> slot = state().Find(kSecondTable + table_, member);
    if (!slot.ok()) return slot.status();
    *(*slot)->Mutable(1) = 1;
  }
  return absl::OkStatus();
}

absl::Status AggregateStageImpl::EraseMembers(std::string_view key) {
  const std::string prefix = MembersOf(key);
  const TableId table = kSecondTable + table_;
  std::vector<std::string> members;
  do {
    members.clear();
    const ScanRange range{.prefix = prefix, .after = {}, .most = kMembersErasedAtOnce};
    absl::Status scanned = state().Scan(table, range, [&](std::string_view member, std::string_view) {
      members.emplace_back(member);
      return true;
    });
    if (!scanned.ok()) return scanned;
    for (const std::string& member : members) {
      const absl::StatusOr<StateSlot*> slot = state().Find(table, member);
      if (!slot.ok()) return slot.status();
      (*slot)->Erase();
    }
  } while (members.size() == kMembersErasedAtOnce);
  return absl::OkStatus();
}

absl::Status AggregateStageImpl::PassLogTime(int64_t before_ms, int64_t now_ms, UnitRunner run) {
  if (mode_ == EmitSpec::Mode::kEvery && before_ms != kNoTime) {
    const int64_t boundary = BoundaryBefore(now_ms, every_ms_);
    if (boundary > before_ms) {
      if (absl::Status status = EmitChanged(boundary, run); !status.ok()) return status;
    }
  }
  return expiry_.PassLogTime(state(),
                             [&](std::string_view key, int64_t due_ms) { return Drop(key, due_ms, run); });
}

// What waited to be put out is put out before it goes.
absl::Status AggregateStageImpl::Drop(std::string_view key, int64_t time_ms, UnitRunner run) {
  OrderedSet& changed = state().Ordered(table_);
  const bool waits = mode_ == EmitSpec::Mode::kEvery && changed.Contains(key);
  if (waits) changed.Erase(key);
  if (waits || mode_ == EmitSpec::Mode::kFinal) {
    absl::Status status = run(key, time_ms, [&] { return EmitOne(key, time_ms); });
    if (!status.ok()) return status;
  }
  if (!distinct_columns_.empty()) {
    if (absl::Status status = EraseMembers(key); !status.ok()) return status;
  }
  const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
  if (slot.ok()) (*slot)->Erase();
  return slot.status();
}

int64_t AggregateStageImpl::NextDueMs(State& state) const {
  const int64_t expiry_ms = expiry_.NextDueMs(state);
  if (mode_ != EmitSpec::Mode::kEvery || state.progress().log_time_ms == kNoTime) return expiry_ms;
  if (state.Ordered(table_).size() == 0) return expiry_ms;
  return std::min(expiry_ms, BoundaryBefore(state.progress().log_time_ms, every_ms_) + every_ms_);
}

absl::Status AggregateStageImpl::Finish(int64_t time_ms, UnitRunner run) {
  if (mode_ == EmitSpec::Mode::kEvery) return EmitChanged(time_ms, run);
  if (mode_ == EmitSpec::Mode::kFinal) return EmitAll(time_ms, run);
  return absl::OkStatus();
}

absl::Status AggregateStageImpl::EmitChanged(int64_t time_ms, UnitRunner run) {
  OrderedSet& changed = state().Ordered(table_);
  while (changed.size() > 0) {
    const std::string key(changed.First());
    changed.Erase(key);
    absl::Status status = run(key, time_ms, [&] { return EmitOne(key, time_ms); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AggregateStageImpl::EmitOne(std::string_view key, int64_t time_ms) {
  const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
  if (!slot.ok()) return slot.status();
  row_.clear();
  if (absl::Status shown = layout_.AppendRow((*slot)->value(), &row_); !shown.ok()) return shown;
  return HandOn(Output(key, time_ms));
}

absl::Status AggregateStageImpl::EmitAll(int64_t time_ms, UnitRunner run) {
  absl::Status stopped;
  absl::Status scanned = state().Scan(table_, {}, [&](std::string_view key, std::string_view value) {
    stopped = run(key, time_ms, [&]() -> absl::Status {
      row_.clear();
      if (absl::Status shown = layout_.AppendRow(value, &row_); !shown.ok()) return shown;
      return HandOn(Output(key, time_ms));
    });
    return stopped.ok();
  });
  return stopped.ok() ? scanned : stopped;
}

absl::Status AggregateStageImpl::AppendStateJson(std::string_view value, std::string* out) const {
  std::string row;
  if (absl::Status status = layout_.AppendRow(value, &row); !status.ok()) return status;
  return AppendJson({row, kFirstRowShape, &fields_}, out);
}

}  // namespace

std::unique_ptr<Stage> MakeAggregateStage(const StageSpec& spec, TableId table, StateExpiry expiry,
                                          const ErrorPolicy& job_errors, StepContext* context) {
  return std::make_unique<AggregateStageImpl>(spec, table, std::move(expiry), job_errors, context);
}

}  // namespace millrace
