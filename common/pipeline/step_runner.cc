#include "common/pipeline/step_runner.h"

#include <algorithm>
#include <utility>

#include "common/handler/call_memos.h"
#include "common/partitioner.h"
#include "common/pipeline/error_policy.h"
#include "common/strings.h"

namespace millrace {
namespace {

// Records decoded ahead of the first that runs, so that the state's memory is on its way meanwhile.
constexpr size_t kPrefetchedRecords = 128;

// Whether a unit can fail after it changed something. A stage checks before it changes anything, so this
// takes a later stage that can fail, or a second record of the same unit. That an output is too large does
// not count: an aggregate looks at what it would put out first, and any stage behind it can fail for itself.
// Branches are taken for a chain, which finds too much at worst: a broadcast fans out, so what changes behind one
// branch is seen beside what fails in the next.
bool NeedsJournal(const std::vector<Stage*>& stages) {
  bool changed = false;
  bool fanned_out = false;
  bool changes_later = false;
  for (const Stage* stage : stages) changes_later |= stage->traits().keeps_state;
  for (const Stage* stage : stages) {
    const Stage::Traits traits = stage->traits();
    if (traits.can_fail && (changed || (fanned_out && changes_later))) return true;
    // Sets timers after its state; or hands on what may be too large for the output.
    if (traits.keeps_state && (traits.runs_code || traits.guards)) return true;
    if (traits.fails_late) return true;
    changed |= traits.keeps_state;
    fanned_out |= traits.fans_out;
  }
  return false;
}

// Whether a unit can fail after an output of it reached the end of the chain: a second output may be too
// large.
bool NeedsHold(const std::vector<Stage*>& stages) {
  return std::any_of(stages.begin(), stages.end(),
                     [](const Stage* stage) { return stage->traits().fans_out; });
}

}  // namespace

StepRunner::StepRunner(StageChain chain)
    : chain_(std::move(chain)),
      head_(chain_.stages.empty() ? chain_.output : chain_.stages.front()),
      needs_journal_(NeedsJournal(chain_.stages)) {
  chain_.output->set_hold(NeedsHold(chain_.stages) ? OutputStage::Hold::kYes : OutputStage::Hold::kNo);
  allowed_attempts_ = AllowedAttempts(chain_.job_errors);
  for (Stage* const stage : chain_.stages) {
    if (prefetched_ == nullptr && stage->traits().keeps_state) prefetched_ = stage;
    if (!stage->traits().runs_code) continue;
    allowed_attempts_ = runs_code_ ? std::max(allowed_attempts_, AllowedAttempts(stage->errors()))
                                   : AllowedAttempts(stage->errors());
    runs_code_ = true;
  }
  batch_.reserve(kPrefetchedRecords);
}

absl::StatusOr<StepResult> StepRunner::Step(const StepInput& input, State& state, StepSink& sink) {
  return chain_.context->calls == nullptr ? Run(input, state, sink) : Try(input, state, sink);
}

// A call without an answer ends its unit, and everything behind it only shows which calls come next. So what
// such a run did is taken back, whatever it came to.
absl::StatusOr<StepResult> StepRunner::Try(const StepInput& input, State& state, StepSink& sink) {
  CallMemos& calls = *chain_.context->calls;
  const Resume resume_before = resume_;
  inspected_before_.clear();
  for (const Stage* const stage : chain_.stages) inspected_before_.push_back(stage->inspected());
  const auto take_back = [&] {
    state.RollbackMessage();
    held_.Drop();
    chain_.context->when_it_counts.clear();
    resume_ = resume_before;
    for (size_t i = 0; i < chain_.stages.size(); ++i) chain_.stages[i]->SetInspected(inspected_before_[i]);
  };
  UnitObserver* const units = std::exchange(chain_.context->units, nullptr);
  calls.BeginRun();
  state.BeginMessage();
  absl::StatusOr<StepResult> result = Run(input, state, held_);
  chain_.context->units = units;
  if (calls.cut()) {
    const bool may_look = input.ahead != nullptr && !chain_.context->waits_for_rates;
    if (may_look && result.ok() && result->done) LookAhead(*input.ahead, state);
    take_back();
    return StepResult{.done = false, .resume_record = input.first_record, .waits_for_calls = true};
  }
  if (units != nullptr) {  // it watches the run that counts
    take_back();
    return Run(input, state, sink);
  }
  state.EndMessage();
  held_.Release(sink);
  for (const auto& effect : std::exchange(chain_.context->when_it_counts, {})) effect();
  return result;
}

void StepRunner::LookAhead(MessagesAhead& ahead, State& state) {
  CallMemos& calls = *chain_.context->calls;
  calls.BeginAhead();
  StepInput next;
  while (calls.HasRoomAhead() && ahead.Next(&next)) {
    held_.Drop();
    const absl::StatusOr<StepResult> result = Run(next, state, held_);
    if (!result.ok() || !result->done) break;
  }
}

absl::StatusOr<StepResult> StepRunner::Run(const StepInput& input, State& state, StepSink& sink) {
  const bool resumed =
      resume_.pending && resume_.offset == input.offset && resume_.record == input.first_record;
  Begin(input, state, sink);
  Progress& progress = state.progress();
  if (!resumed) {
    resume_ = {};
    const int64_t before_ms = progress.log_time_ms;
    progress.log_time_ms = std::max(progress.log_time_ms, input.broker_time_ms);
    if (absl::Status status = PassLogTime(input, before_ms); !status.ok()) return status;
  }
  bool stopped = false;
  absl::Status ran = input.stranger ? RunStranger(input, &stopped) : RunRecords(input, &stopped);
  if (!ran.ok()) return ran;
  if (stopped) {
    resume_.next_index = chain_.output->next_index();
    resume_.next_unit = next_unit_;
    return StepResult{.done = false, .resume_record = resume_.record, .retry_after = resume_.retry_after};
  }
  resume_ = {};
  const int64_t watermark_before_ms = progress.watermark_ms;
  const int64_t told_ms = chain_.context->log_time_is_event_time ? progress.log_time_ms : input.watermark_ms;
  progress.watermark_ms = std::max(progress.watermark_ms, told_ms);
  if (absl::Status status = PassWatermark(input, watermark_before_ms); !status.ok()) return status;
  if (input.ends_input) {
    if (absl::Status status = Finish(input, progress.watermark_ms); !status.ok()) return status;
  }
  return StepResult();
}

void StepRunner::Begin(const StepInput& input, State& state, StepSink& sink) {
  const bool goes_on = resume_.pending && resume_.offset == input.offset;
  state_ = &state;
  sink_ = &sink;
  next_unit_ = goes_on ? resume_.next_unit : 0;
  chain_.output->Begin(&sink, goes_on ? resume_.next_index : 0);
  StepContext& context = *chain_.context;
  context.state = &state;
  context.offset = input.offset;
  context.segment = input.segment;
  context.partition = input.partition;
  context.broker_time_ms = input.broker_time_ms;
  context.ending = false;
  context.event_time_ms = state.progress().watermark_ms;
  ++context.frame_serial;
}

absl::Status StepRunner::RunRecords(const StepInput& input, bool* stopped) {
  if (input.frame == nullptr) return absl::OkStatus();
  const bool labelled = input.frame->kind() == FrameKind::kResults;
  if (!labelled && input.frame->kind() != FrameKind::kData) return absl::OkStatus();
  FrameView::Cursor cursor = input.frame->records();
  uint32_t position = 0;
  bool more = true;
  while (more && !*stopped) {
    batch_.clear();
    uint32_t first = 0;  // of the batch
    while (batch_.size() < kPrefetchedRecords) {
      RecordView& record = batch_.emplace_back();
      more = cursor.Next(&record);
      const bool passed_over = !more || position++ < input.first_record ||
                               (labelled && Mark{record.offset.value(), record.index} < input.taken_until);
      if (passed_over) {
        batch_.pop_back();
        if (!more) break;
        continue;
      }
      if (batch_.size() == 1) first = position - 1;
      record.time_ms = EventTimeOf(record, input);
    }
    PrefetchBatch();
    if (absl::Status status = RunBatch(input, first, stopped); !status.ok()) return status;
  }
  return *stopped ? absl::OkStatus() : cursor.status();
}

// Its own, or the broker's where it has none. Where windows go by the broker's, it does not go back when the broker's
// clock does, and holds for records of a copied log, too, which bring another broker's along.
int64_t StepRunner::EventTimeOf(const RecordView& record, const StepInput& input) const {
  if (chain_.context->log_time_is_event_time) return state_->progress().log_time_ms;
  return record.time_ms == kNoTime ? input.broker_time_ms : record.time_ms;
}

void StepRunner::PrefetchBatch() {
  if (prefetched_ == nullptr) return;
  batch_keys_.clear();
  for (const RecordView& record : batch_) batch_keys_.push_back(record.key);
  prefetched_->Prefetch(batch_keys_);
}

absl::Status StepRunner::RunBatch(const StepInput& input, uint32_t first, bool* stopped) {
  uint32_t position = first;
  for (const RecordView& record : batch_) {
    if (absl::Status status = RunRecord(input, position++, record, stopped); !status.ok()) return status;
    if (*stopped) return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Runs the unit under the eyes of whoever watches.
absl::Status StepRunner::Observed(const StepUnit& unit, const bool& stopped, Body body) {
  UnitObserver* const units = chain_.context->units;
  if (units == nullptr) return body();
  units->Begin(unit);
  absl::Status status = body();
  if (!stopped) units->End(status);
  return status;
}

absl::Status StepRunner::RunRecord(const StepInput& input, uint32_t position, const RecordView& record,
                                   bool* stopped) {
  if (chain_.context->units == nullptr) return TryRecord(input, position, record, stopped);
  const StepUnit unit{StepUnit::Kind::kRecord, position, record.key, record.time_ms, &record};
  return Observed(unit, *stopped, [&] { return TryRecord(input, position, record, stopped); });
}

absl::Status StepRunner::TryRecord(const StepInput& input, uint32_t position, const RecordView& record,
                                   bool* stopped) {
  chain_.context->record = position;
  ForgetFailure();
  chain_.context->may_pause = true;
  chain_.context->pause = absl::ZeroDuration();
  const int tries = resume_.pending && resume_.record == position ? resume_.tries : 0;
  DeadLetter letter;
  const int attempts_before = AttemptsBefore(input, position);
  absl::Status status;
  const bool is_spent = IsSpent(input, position);
  if (is_spent) {
    status = RefuseSpent(input, position);
  } else {
    status = needs_journal_ ? Attempt([&] { return head_->Process(record); }) : head_->Process(record);
    if (status.ok()) {
      if (!needs_journal_) chain_.output->Release();
      ++state_->progress().records_in;
      return status;
    }
    if (!needs_journal_) chain_.output->Drop();
    if (chain_.context->pause > absl::ZeroDuration()) {
      *stopped = true;
      ComeAgain(input.offset, position, tries, chain_.context->pause);
      return absl::OkStatus();
    }
    if (chain_.context->failed_stage == nullptr) return status;
  }
  letter.record = position;
  letter.key = record.key;
  letter.value = record.value;
  letter.shape = record.shape;
  letter.fields = record.fields;
  letter.time_ms = record.time_ms;
  letter.attempts = is_spent ? attempts_before : attempts_before + tries + 1;
  status = Settle(status, letter, !is_spent, stopped);
  if (*stopped) {
    ComeAgain(input.offset, position, tries + 1, resume_.retry_after);
  } else {
    ++state_->progress().records_in;
  }
  return status;
}

absl::Status StepRunner::RunStranger(const StepInput& input, bool* stopped) {
  DeadLetter letter;
  letter.value = input.payload;
  letter.time_ms = input.broker_time_ms;
  const absl::StatusOr<KeyExtractor::Decoded> decoded = chain_.keys->Decode(input.payload);
  absl::Status bad = decoded.status();
  if (bad.ok() && input.partitions > 0) {
    const PartitionId home = PartitionOf(decoded->record.key, input.partitions);
    letter.key = decoded->record.key;
    if (home != input.partition) {
      bad = absl::InvalidArgumentError(StrCat("its key belongs to partition ", home.value(), ", and this is ",
                                              input.partition.value(), " — publish it there"));
    }
  }
  if (!bad.ok()) return RefuseStranger(bad, letter, stopped);
  RecordView record = decoded->record;
  record.time_ms = EventTimeOf(record, input);
  return RunRecord(input, 0, record, stopped);
}

absl::Status StepRunner::RefuseStranger(const absl::Status& why, const DeadLetter& letter, bool* stopped) {
  const StepUnit unit{StepUnit::Kind::kRecord, 0, letter.key, letter.time_ms, nullptr};
  return Observed(unit, *stopped, [&] {
    ForgetFailure();
    ++state_->progress().records_in;
    return Settle(why, letter, /*may_retry=*/false, stopped);
  });
}

absl::Status StepRunner::RunUnit(const StepInput& input, std::string_view key, int64_t time_ms, Body body) {
  const uint32_t records = input.stranger ? 1 : input.frame == nullptr ? 0 : input.frame->record_count();
  const StepUnit unit{StepUnit::Kind::kDue, records + next_unit_, key, time_ms, nullptr};
  const bool stopped = false;
  return Observed(unit, stopped, [&] { return TryUnit(input, key, time_ms, body); });
}

// A unit that failed is not tried again: nothing outside of the log has a part in it, so it would fail again.
absl::Status StepRunner::TryUnit(const StepInput& input, std::string_view key, int64_t time_ms, Body body) {
  const uint32_t records = input.stranger ? 1 : input.frame == nullptr ? 0 : input.frame->record_count();
  const uint32_t position = records + next_unit_++;
  chain_.context->record = position;
  chain_.context->may_pause = false;
  const int attempts = AttemptsBefore(input, position);
  absl::Status status;
  ForgetFailure();
  if (IsSpent(input, position)) {
    status = RefuseSpent(input, position);
  } else {
    status = Attempt(body);
    if (status.ok() || chain_.context->failed_stage == nullptr) return status;
  }
  DeadLetter letter;
  letter.record = position;
  letter.key = key;
  letter.time_ms = time_ms;
  letter.attempts = std::max(attempts, 1);
  if (const RecordView* const value = chain_.context->due_value) {
    letter.value = value->value;
    letter.shape = value->shape;
    letter.fields = value->fields;
  }
  bool stopped = false;
  return Settle(status, letter, /*may_retry=*/false, &stopped);
}

}  // namespace millrace
