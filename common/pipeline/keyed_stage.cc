#include "common/pipeline/keyed_stage.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/handler_caller.h"
#include "common/pipeline/header_codec.h"
#include "common/pipeline/plugin_stages.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<KeyedStageRunner>> KeyedStageRunner::Create(const StageSpec& spec,
                                                                           TableId table, StateExpiry expiry,
                                                                           const ErrorPolicy& job_errors,
                                                                           LuaSandbox* lua,
                                                                           StepContext* context) {
  auto stage = std::unique_ptr<KeyedStageRunner>(
      new KeyedStageRunner(spec, table, std::move(expiry), job_errors, context));
  absl::StatusOr<std::unique_ptr<KeyedCode>> code =
      !std::get<KeyedStage>(spec.what).remote.empty() ? MakeRemoteKeyedCode(spec, context)
      : PluginOf(spec) != nullptr                     ? MakePluginKeyedCode(spec, context)
      : RunsInPool(spec, *context)                    ? MakePooledKeyedCode(spec, lua, context)
                                                      : MakeLuaKeyedCode(spec, lua, context);
  if (!code.ok()) return code.status();
  stage->code_ = *std::move(code);
  return stage;
}

absl::Status KeyedStageRunner::Process(const RecordView& record) {
  call_.on_timer = false;
  return Call(InputOf(record, context()), &record);
}

int64_t KeyedStageRunner::FirstDueMs(Clock clock) const {
  const int64_t due_ms = millrace::FirstDueMs(timers(clock));
  return clock == Clock::kLog ? due_ms : WatermarkFor(due_ms, event_delay_ms());
}

absl::Status KeyedStageRunner::RunFirst(Clock clock, UnitRunner run) {
  const std::string item(timers(clock).First());
  timers(clock).Erase(item);
  Timer timer;
  if (absl::Status status = DecodeTimer(item, &timer); !status.ok()) return status;
  return run(timer.key, timer.due_ms, [&] { return FireTimer(timer); });
}

absl::Status KeyedStageRunner::FireTimer(const Timer& timer) {
  call_.on_timer = true;
  const LuaInput input{.record = nullptr,
                       .key = timer.key,
                       .time_ms = timer.due_ms,
                       .segment = context().segment,
                       .partition = context().partition,
                       .offset = context().offset,
                       .position = context().record};
  return Call(input, nullptr);
}

absl::Status KeyedStageRunner::RefuseTimer() {
  return Fail(StrCat("a timer was still set again after ", kMaxEndTimerRounds,
                     " rounds at the end of the input — set none when `ending` is true"));
}

absl::Status KeyedStageRunner::Call(const LuaInput& input, const RecordView* record) {
  absl::StatusOr<StateSlot*> slot = state().Find(table_, input.key);
  if (!slot.ok()) return slot.status();
  call_.state = (*slot)->value();
  call_.ending = context().ending;
  const absl::StatusOr<bool> ran = code_->Run(input, &call_);
  if (!ran.ok()) return absl::IsInvalidArgument(ran.status()) ? Fail(ran.status()) : ran.status();
  if (!*ran) return absl::OkStatus();
  const bool is_kept = !call_.new_state.empty();
  if (!is_kept) {
    (*slot)->Erase();
  } else if (call_.new_state != call_.state) {
    std::memcpy((*slot)->Mutable(call_.new_state.size()), call_.new_state.data(), call_.new_state.size());
  }
  absl::Status noted = is_kept ? expiry_.Touch(state(), input.key) : expiry_.Forget(state(), input.key);
  if (!noted.ok()) return noted;
  if (absl::Status status = SetTimers(input.key); !status.ok()) return status;
  return HandOnEmitted(input, record);
}

// A key's timers stay: on_timer then finds no state.
absl::Status KeyedStageRunner::PassLogTime(int64_t, int64_t, UnitRunner) {
  return expiry_.PassLogTime(state(), [&](std::string_view key, int64_t) {
    const absl::StatusOr<StateSlot*> slot = state().Find(table_, key);
    if (slot.ok()) (*slot)->Erase();
    return slot.status();
  });
}

absl::Status KeyedStageRunner::SetTimers(std::string_view key) {
  if (call_.timers.empty()) return absl::OkStatus();
  if (!code_->has_on_timer()) {
    return Fail("a timer was set, but there is no `function on_timer() … end` to run");
  }
  const Progress& progress = state().progress();
  const int64_t event_now_ms = DelayedEventTime(progress.watermark_ms, event_delay_ms());
  for (const KeyedCall::TimerRequest& request : call_.timers) {
    const int64_t due = request.event_time
                            ? ClampDue(request.ms, event_now_ms)
                            : ClampDue(progress.log_time_ms + request.ms, progress.log_time_ms);
    OrderedSet& set = timers(request.event_time ? Clock::kEvent : Clock::kLog);
    if (absl::Status status = set.Insert(EncodeTimer({due, key})); !status.ok()) {
      return Fail(StrCat("the timer cannot be set: ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status KeyedStageRunner::HandOnEmitted(const LuaInput& input, const RecordView* record) {
  for (size_t i = 0; i < call_.emitted_count; ++i) {
    const KeyedCall::Emitted& emitted = call_.emitted[i];
    RecordView output;
    output.key = emitted.has_key ? std::string_view(emitted.key) : input.key;
    output.value = emitted.packed;
    output.shape = kPackedShape;
    output.time_ms = input.time_ms;
    if (record != nullptr) output.raw_headers = record->raw_headers;
    if (!emitted.headers.empty()) {
      if (absl::Status status = MergeHeaders(output.raw_headers, emitted.headers, &headers_); !status.ok()) {
        return Fail(status);
      }
      output.raw_headers = headers_;
    }
    if (absl::Status status = HandOn(output); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status KeyedStageRunner::AppendStateJson(std::string_view value, std::string* out) const {
  return AppendPackedJson(value, out);
}

}  // namespace millrace
