// What the passing of time makes due: timers, `every`, and the end of the input.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/pipeline/step_runner.h"

namespace millrace {

absl::Status StepRunner::PassLogTime(const StepInput& input, int64_t before_ms) {
  const int64_t now_ms = state_->progress().log_time_ms;
  if (now_ms == before_ms) return absl::OkStatus();
  if (absl::Status status = FireTimers(input, now_ms, kNoTime, SIZE_MAX); !status.ok()) return status;
  const auto run = [&](std::string_view key, int64_t time_ms, Body body) {
    return RunUnit(input, key, time_ms, body);
  };
  for (Stage* const stage : chain_.stages) {
    if (absl::Status status = stage->PassLogTime(before_ms, now_ms, run); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status StepRunner::PassWatermark(const StepInput& input, int64_t before_ms) {
  const int64_t now_ms = state_->progress().watermark_ms;
  if (now_ms == before_ms) return absl::OkStatus();
  return FireTimers(input, kNoTime, now_ms, SIZE_MAX);
}

absl::Status StepRunner::Finish(const StepInput& input, int64_t watermark_before_ms) {
  Progress& progress = state_->progress();
  if (progress.ended) return absl::OkStatus();
  progress.ended = true;
  progress.watermark_ms = kEndOfTime;
  chain_.context->ending = true;
  const bool has_watermark = watermark_before_ms != kNoTime && watermark_before_ms != kEndOfTime;
  const int64_t time_ms = has_watermark ? watermark_before_ms : progress.log_time_ms;
  const auto run = [&](std::string_view key, int64_t unit_time_ms, Body body) {
    return RunUnit(input, key, unit_time_ms, body);
  };
  // A stage's last emissions may set timers in stages behind it, so the timers come first each time.
  for (size_t i = 0; i <= chain_.stages.size(); ++i) {
    for (int round = 0; round < kMaxEndTimerRounds && PendingTimers() > 0; ++round) {
      if (absl::Status status = FireTimers(input, kEndOfTime, kEndOfTime, PendingTimers()); !status.ok()) {
        return status;
      }
    }
    if (absl::Status status = RejectTimersLeft(input); !status.ok()) return status;
    if (i == chain_.stages.size()) break;
    if (absl::Status status = chain_.stages[i]->Finish(time_ms, run); !status.ok()) return status;
  }
  return absl::OkStatus();
}

size_t StepRunner::PendingTimers() {
  size_t pending = 0;
  for (KeyedStageRunner* const stage : chain_.keyed) {
    pending += stage->log_timers().size() + stage->event_timers().size();
  }
  return pending;
}

// Fires what is due, in order of due time, then stage, then key.
absl::Status StepRunner::FireTimers(const StepInput& input, int64_t log_now_ms, int64_t event_now_ms,
                                    size_t at_most) {
  for (size_t fired = 0; fired < at_most; ++fired) {
    KeyedStageRunner* first = nullptr;
    OrderedSet* first_set = nullptr;
    int64_t first_due_ms = kEndOfTime;
    const auto offer = [&](KeyedStageRunner* stage, OrderedSet& timers, int64_t now_ms) {
      if (timers.size() == 0) return;
      const int64_t due_ms = FirstDueMs(timers);
      if (due_ms > now_ms || (first != nullptr && due_ms >= first_due_ms)) return;
      first = stage;
      first_set = &timers;
      first_due_ms = due_ms;
    };
    for (KeyedStageRunner* const stage : chain_.keyed) {
      offer(stage, stage->log_timers(), log_now_ms);
      offer(stage, stage->event_timers(), event_now_ms);
    }
    if (first == nullptr) return absl::OkStatus();
    const std::string item(first_set->First());
    first_set->Erase(item);
    Timer timer;
    if (absl::Status status = DecodeTimer(item, &timer); !status.ok()) return status;
    absl::Status status = RunUnit(input, timer.key, timer.due_ms, [&] { return first->FireTimer(timer); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status StepRunner::RejectTimersLeft(const StepInput& input) {
  for (KeyedStageRunner* const stage : chain_.keyed) {
    for (OrderedSet* const timers : {&stage->log_timers(), &stage->event_timers()}) {
      while (timers->size() > 0) {
        const std::string item(timers->First());
        timers->Erase(item);
        Timer timer;
        if (absl::Status status = DecodeTimer(item, &timer); !status.ok()) return status;
        absl::Status status = RunUnit(input, timer.key, timer.due_ms, [&] { return stage->RefuseTimer(); });
        if (!status.ok()) return status;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
