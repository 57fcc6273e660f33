#include "common/pipeline/keyed_code.h"

#include <utility>
#include <variant>

#include "common/pipeline/handler_caller.h"

namespace millrace {
namespace {

class LuaKeyedCode final : public KeyedCode {
 public:
  LuaKeyedCode(const StageSpec& spec, LuaSandbox* lua, LuaSandbox::ChunkId chunk, StepContext* context)
      : name_(spec.code.name), timeout_(spec.code.timeout), lua_(lua), chunk_(chunk), context_(context) {}

  absl::StatusOr<bool> Run(const LuaInput& input, KeyedCall* call) override {
    const ObservedCall observed(*context_, timeout_, name_);
    absl::Status status = lua_->Run(chunk_, input, call);
    if (!status.ok()) return absl::InvalidArgumentError(status.message());
    return true;
  }
  bool has_on_timer() const override { return lua_->has_on_timer(chunk_); }

 private:
  const std::string name_;
  const absl::Duration timeout_;
  LuaSandbox* const lua_;
  const LuaSandbox::ChunkId chunk_;
  StepContext* const context_;
};

class RemoteKeyedCode final : public KeyedCode {
 public:
  RemoteKeyedCode(const StageSpec& spec, StepContext* context, bool has_on_timer)
      : context_(context), caller_(spec.code.name, context->calls), has_on_timer_(has_on_timer) {}

  absl::StatusOr<bool> Run(const LuaInput& input, KeyedCall* call) override {
    const absl::StatusOr<const CallOutcome*> outcome =
        caller_.Call(*context_, input.record, input.key, input.time_ms, call->state);
    if (!outcome.ok()) return outcome.status();
    if (*outcome == nullptr) return false;
    if ((*outcome)->kind == CallOutcome::Kind::kFailed) return absl::InvalidArgumentError((*outcome)->why);
    Tell(**outcome, call);
    return true;
  }
  bool has_on_timer() const override { return has_on_timer_; }

 private:
  static void Tell(const CallOutcome& outcome, KeyedCall* call);

  StepContext* const context_;
  HandlerCaller caller_;
  const bool has_on_timer_;
};

void RemoteKeyedCode::Tell(const CallOutcome& outcome, KeyedCall* call) {
  const std::string_view state = outcome.state.value_or(call->state);
  call->new_state.assign(state == kNoPackedState ? std::string_view() : state);
  call->emitted_count = 0;
  for (const HandlerOutput& output : outcome.outputs) {
    if (call->emitted_count == call->emitted.size()) call->emitted.emplace_back();
    KeyedCall::Emitted& emitted = call->emitted[call->emitted_count++];
    emitted.packed.assign(output.value);
    emitted.has_key = output.key.has_value();
    emitted.key.assign(output.key.value_or(std::string_view()));
    emitted.headers = output.headers;
  }
  call->timers.clear();
  for (const HandlerTimer& timer : outcome.timers) call->timers.push_back({timer.event_time, timer.ms});
}

absl::StatusOr<LuaSandbox::ChunkId> CompileKeyed(const StageSpec& spec, LuaSandbox* lua) {
  return lua->AddKeyed(spec.code.name, spec.code.place, std::get<KeyedStage>(spec.what).lua);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyedCode>> MakePooledKeyedCode(const StageSpec& spec, LuaSandbox* lua,
                                                               StepContext* context) {
  const absl::StatusOr<LuaSandbox::ChunkId> chunk = CompileKeyed(spec, lua);
  if (!chunk.ok()) return chunk.status();
  return std::make_unique<RemoteKeyedCode>(spec, context, lua->has_on_timer(*chunk));
}

absl::StatusOr<std::unique_ptr<KeyedCode>> MakeLuaKeyedCode(const StageSpec& spec, LuaSandbox* lua,
                                                            StepContext* context) {
  const absl::StatusOr<LuaSandbox::ChunkId> chunk = CompileKeyed(spec, lua);
  if (!chunk.ok()) return chunk.status();
  return std::make_unique<LuaKeyedCode>(spec, lua, *chunk, context);
}

absl::StatusOr<std::unique_ptr<KeyedCode>> MakeRemoteKeyedCode(const StageSpec& spec, StepContext* context) {
  // A handler without on_timer says so when the timer fires.
  return std::make_unique<RemoteKeyedCode>(spec, context, /*has_on_timer=*/true);
}

}  // namespace millrace
