// The `keyed` stage: the user's code with a `state` for each key, and its timers.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/pipeline/keyed_code.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"
#include "common/pipeline/state_expiry.h"
#include "common/pipeline/timers.h"

namespace millrace {

// State lies in table n as packed MessagePack; log-time timers in ordered set n, event-time timers in ordered
// set n + kSecondTable.
class KeyedStageRunner final : public Stage, public TimedStage {
 public:
  // REQUIRES: spec.what is a KeyedStage. `lua` and `context` must outlive the stage; `lua` may be null where the
  // code is not Lua. INVALID_ARGUMENT when it does not compile.
  static absl::StatusOr<std::unique_ptr<KeyedStageRunner>> Create(const StageSpec& spec, TableId table,
                                                                  StateExpiry expiry,
                                                                  const ErrorPolicy& job_errors,
                                                                  LuaSandbox* lua, StepContext* context);

  absl::Status Process(const RecordView& record) override;
  Traits traits() const override { return {.fans_out = true, .keeps_state = true}; }
  void Prefetch(absl::Span<const std::string_view> keys) override { state().Prefetch(table_, keys); }
  absl::Status PassLogTime(int64_t before_ms, int64_t now_ms, UnitRunner run) override;
  int64_t NextDueMs(State& state) const override {
    return std::min(millrace::FirstDueMs(state.Ordered(table_)), expiry_.NextDueMs(state));
  }
  absl::Status AppendStateJson(std::string_view value, std::string* out) const override;

  bool Waits(Clock clock) const override { return timers(clock).size() > 0; }
  int64_t FirstDueMs(Clock clock) const override;
  absl::Status RunFirst(Clock clock, UnitRunner run) override;
  bool repeats() const override { return true; }
  // The failure of a timer that keeps setting itself again after the end of the input.
  absl::Status RefuseTimer();
  OrderedSet& timers(Clock clock) const {
    return state().Ordered(clock == Clock::kLog ? table_ : kSecondTable + table_);
  }

 private:
  KeyedStageRunner(const StageSpec& spec, TableId table, StateExpiry expiry, const ErrorPolicy& job_errors,
                   StepContext* context)
      : Stage(spec, job_errors, context), table_(table), expiry_(std::move(expiry)) {}

  absl::Status FireTimer(const Timer& timer);
  // Runs the code for `key` and keeps what it did. `record` is null for a timer.
  absl::Status Call(const LuaInput& input, const RecordView* record);
  absl::Status SetTimers(std::string_view key);
  absl::Status HandOnEmitted(const LuaInput& input, const RecordView* record);

  const TableId table_;
  StateExpiry expiry_;
  std::unique_ptr<KeyedCode> code_;
  KeyedCall call_;
  std::string headers_;  // scratch
};

}  // namespace millrace
