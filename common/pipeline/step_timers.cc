// What the passing of time makes due: timers, `every`, and the end of the input.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/pipeline/step_runner.h"

namespace millrace {

absl::Status StepRunner::PassLogTime(const StepInput& input, int64_t before_ms) {
  const int64_t now_ms = state_->progress().log_time_ms;
  if (now_ms == before_ms) return absl::OkStatus();
  if (absl::Status status = RunDue(input, {.log_now_ms = now_ms}); !status.ok()) return status;
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
  return RunDue(input, {.event_now_ms = now_ms});
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
    if (absl::Status status = RunAllThatWaits(input, i); !status.ok()) return status;
    if (i == chain_.stages.size()) break;
    chain_.context->event_time_ms = watermark_before_ms;
    if (absl::Status status = chain_.stages[i]->Finish(time_ms, run); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Timers that always set themselves again are given up after so many rounds; a window that closes in between has them
// begin anew, unless they may have filled it themselves. Windows that timers held up close once those are gone.
absl::Status StepRunner::RunAllThatWaits(const StepInput& input, size_t finished_stages) {
  const Passing round{.log_now_ms = kEndOfTime,
                      .event_now_ms = kEndOfTime,
                      .one_round = true,
                      .finished_stages = finished_stages};
  while (AnyWaits(finished_stages)) {
    for (int rounds = 0; rounds < kMaxEndTimerRounds && AnyWaits(finished_stages); ++rounds) {
      const uint64_t before = unprompted_;
      if (absl::Status status = RunDue(input, round); !status.ok()) return status;
      if (unprompted_ > before) rounds = 0;
    }
    if (absl::Status status = RejectTimersLeft(input); !status.ok()) return status;
  }
  return absl::OkStatus();
}

size_t StepRunner::PendingTimers() {
  size_t pending = 0;
  for (KeyedStageRunner* const stage : chain_.keyed) {
    pending += stage->timers(TimedStage::Clock::kLog).size();
    pending += stage->timers(TimedStage::Clock::kEvent).size();
  }
  return pending;
}

bool StepRunner::AnyWaits(size_t finished_stages) const {
  return std::any_of(chain_.timed.begin(), chain_.timed.end(), [&](const StageChain::Timed& timed) {
    return timed.waits_for <= finished_stages &&
           (timed.stage->Waits(TimedStage::Clock::kLog) || timed.stage->Waits(TimedStage::Clock::kEvent));
  });
}

// Runs what is due, in order of due time, then stage, then as the stage has it (timers: key; windows: key and
// start). Stages behind see event time as it stands right before that due time, so that what one stage hands on is
// not late for the next because time went far at once.
absl::Status StepRunner::RunDue(const StepInput& input, const Passing& passing) {
  const auto run = [&](std::string_view key, int64_t time_ms, Body body) {
    return RunUnit(input, key, time_ms, body);
  };
  size_t left = PendingTimers();
  while (true) {
    const StageChain::Timed* first = nullptr;
    TimedStage::Clock first_clock = TimedStage::Clock::kLog;
    int64_t first_due_ms = kEndOfTime;
    const auto offer = [&](const StageChain::Timed& timed, TimedStage::Clock clock, int64_t now_ms) {
      if (!timed.stage->Waits(clock)) return;
      const int64_t due_ms = timed.stage->FirstDueMs(clock);
      if (due_ms > now_ms || (first != nullptr && due_ms >= first_due_ms)) return;
      first = &timed;
      first_clock = clock;
      first_due_ms = due_ms;
    };
    for (const StageChain::Timed& timed : chain_.timed) {
      if (timed.waits_for > passing.finished_stages) continue;
      offer(timed, TimedStage::Clock::kLog, passing.log_now_ms);
      offer(timed, TimedStage::Clock::kEvent, passing.event_now_ms);
    }
    if (first == nullptr) return absl::OkStatus();
    const bool repeats = first->stage->repeats();
    if (passing.one_round && repeats && left-- == 0) return absl::OkStatus();
    if (first_clock == TimedStage::Clock::kEvent && first_due_ms != kNoTime) {
      chain_.context->event_time_ms = first_due_ms - 1;
    }
    const size_t before = PendingTimers();
    if (absl::Status status = first->stage->RunFirst(first_clock, run); !status.ok()) return status;
    if (repeats) continue;
    left += PendingTimers() - before;
    if (!first->after_timers) ++unprompted_;
  }
  return absl::OkStatus();
}

absl::Status StepRunner::RejectTimersLeft(const StepInput& input) {
  for (KeyedStageRunner* const stage : chain_.keyed) {
    for (const TimedStage::Clock clock : {TimedStage::Clock::kLog, TimedStage::Clock::kEvent}) {
      OrderedSet& timers = stage->timers(clock);
      while (timers.size() > 0) {
        const std::string item(timers.First());
        timers.Erase(item);
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
