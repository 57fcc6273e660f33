// A stage's calls of its handlers: what the record looks like to them, and how their outputs look as records.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/handler/call_memos.h"
#include "common/pipeline/stage.h"

namespace millrace {

// Whether the stage's code is run by those whom the pipeline asks, and not by itself.
inline bool RunsInPool(const StageSpec& spec, const StepContext& context) {
  return context.calls != nullptr && context.calls->HasStage(spec.code.name);
}

// Not thread-safe.
class HandlerCaller {
 public:
  // `calls` may be null, where the pipeline is only looked at: Call then answers FAILED_PRECONDITION.
  HandlerCaller(const std::string& stage, CallMemos* calls)
      : calls_(calls), stage_(calls == nullptr ? 0 : calls->StageNamed(stage)) {}

  // nullptr: not known yet; the unit is to end here, as if the record had been dropped. `record` is null for a
  // timer. `state`: packed; empty: none. The answer holds until the message is done with.
  absl::StatusOr<const CallOutcome*> Call(const StepContext& context, const RecordView* record,
                                          std::string_view key, int64_t time_ms, std::string_view state);

  // Likewise, in two: the label of the unit's next call, and that call, whose `packed` is the stage's own.
  std::string NextLabel(const StepContext& context, std::string_view key, int64_t time_ms);
  absl::StatusOr<const CallOutcome*> CallWith(const StepContext& context, std::string_view key,
                                              std::string_view packed);

 private:
  void Follow(const StepContext& context);
  absl::StatusOr<const CallOutcome*> Ask(const StepContext& context, CallMemos::Request request);
  std::string Label(const StepContext& context, std::string_view key, int64_t time_ms) const;
  void Pack(const StepContext& context, const RecordView* record, std::string_view key, int64_t time_ms);

  CallMemos* const calls_;
  const size_t stage_;
  uint64_t frame_serial_ = 0;  // these two tell units apart
  uint32_t record_ = 0;
  uint32_t nth_ = 0;  // of the unit's calls: the next one
  std::string packed_;
};

}  // namespace millrace
