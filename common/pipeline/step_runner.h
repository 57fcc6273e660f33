// Step's loop: takes a message apart into units (a record, a timer, an emission that is due) and makes each
// of them all or nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/pipeline/held_sink.h"
#include "common/pipeline/keyed_stage.h"
#include "common/pipeline/output_stage.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/stage.h"

namespace millrace {

// The parts of one pipeline, made by Pipeline::Create. `stages` are in the file's order, each
// in front of whatever it hands on to (branches lie one behind the other), and linked.
struct StageChain {
  std::vector<Stage*> stages;  // without the output; owned by the pipeline, as are the others
  std::vector<KeyedStageRunner*> keyed;
  // Those at which time makes something due, in order.
  struct Timed {
    TimedStage* stage;
    size_t waits_for;   // at the end of the input: until so many stages have finished
    bool after_timers;  // timers may be the reason of what becomes due here
  };
  std::vector<Timed> timed;
  OutputStage* output = nullptr;
  StepContext* context = nullptr;
  KeyExtractor* keys = nullptr;
  ErrorPolicy job_errors;
};

// Not thread-safe.
class StepRunner {
 public:
  explicit StepRunner(StageChain chain);

  absl::StatusOr<StepResult> Step(const StepInput& input, State& state, StepSink& sink);

 private:
  using Body = absl::FunctionRef<absl::Status()>;
  // Where a Step stopped for a retry or a rate, and what must go on from there.
  struct Resume {
    bool pending = false;
    Offset offset;
    uint32_t record = 0;
    int tries = 0;
    uint32_t next_index = 0;
    uint32_t next_unit = 0;
    absl::Duration retry_after;
  };

  // The Step itself. Where stages have handlers, it is tried: it has no effect while a call has no answer.
  absl::StatusOr<StepResult> Run(const StepInput& input, State& state, StepSink& sink);
  absl::StatusOr<StepResult> Try(const StepInput& input, State& state, StepSink& sink);
  // Runs what comes behind a message that was cut on what it left, for the calls that come next.
  void LookAhead(MessagesAhead& ahead, State& state);
  void Begin(const StepInput& input, State& state, StepSink& sink);
  absl::Status RunRecords(const StepInput& input, bool* stopped);
  void PrefetchBatch();
  absl::Status RunBatch(const StepInput& input, uint32_t first, bool* stopped);
  absl::Status RunRecord(const StepInput& input, uint32_t position, const RecordView& record, bool* stopped);
  absl::Status TryRecord(const StepInput& input, uint32_t position, const RecordView& record, bool* stopped);
  // What is to go on from this record after `pause`.
  void ComeAgain(Offset offset, uint32_t position, int tries, absl::Duration pause);
  absl::Status RunStranger(const StepInput& input, bool* stopped);
  absl::Status RefuseStranger(const absl::Status& why, const DeadLetter& letter, bool* stopped);

  // Units that stand for no record: their position follows the frame's last record.
  absl::Status RunUnit(const StepInput& input, std::string_view key, int64_t time_ms, Body body);
  absl::Status TryUnit(const StepInput& input, std::string_view key, int64_t time_ms, Body body);
  absl::Status PassLogTime(const StepInput& input, int64_t before_ms);
  absl::Status PassWatermark(const StepInput& input, int64_t before_ms);
  absl::Status Finish(const StepInput& input, int64_t watermark_before_ms);
  // How far time has come. At the end of the input, of what may set itself again only a round runs: what waits at its
  // beginning, and what else comes of windows that close in it.
  struct Passing {
    int64_t log_now_ms = kNoTime;
    int64_t event_now_ms = kNoTime;
    bool one_round = false;
    size_t finished_stages = SIZE_MAX;
  };
  absl::Status RunDue(const StepInput& input, const Passing& passing);
  absl::Status RunAllThatWaits(const StepInput& input, size_t finished_stages);
  bool AnyWaits(size_t finished_stages) const;
  int64_t EventTimeOf(const RecordView& record, const StepInput& input) const;
  absl::Status RejectTimersLeft(const StepInput& input);
  size_t PendingTimers();

  absl::Status Observed(const StepUnit& unit, const bool& stopped, Body body);
  absl::Status Attempt(Body body);  // all or nothing
  void ForgetFailure();
  absl::Status Settle(const absl::Status& failure, const DeadLetter& letter, bool may_retry, bool* stopped);
  Stage* StageNamed(std::string_view name) const;
  int AttemptsBefore(const StepInput& input, uint32_t position) const;
  // Whether its attempts are used up by verdicts.
  bool IsSpent(const StepInput& input, uint32_t position) const;
  // The failure of such a record; it is charged to the stage that the verdicts name.
  absl::Status RefuseSpent(const StepInput& input, uint32_t position);
  void Reject(const DeadLetter& letter);

  const StageChain chain_;
  Stage* const head_;
  Stage* prefetched_ = nullptr;  // the first that keeps state: it sees the records' own keys
  bool needs_journal_ = false;
  bool runs_code_ = false;
  int allowed_attempts_ = 1;

  State* state_ = nullptr;
  StepSink* sink_ = nullptr;
  uint32_t next_unit_ = 0;
  uint64_t unprompted_ = 0;  // windows closed that no timer has had a part in
  Resume resume_;
  HeldSink held_;
  std::vector<uint64_t> inspected_before_;
  std::vector<RecordView> batch_;
  std::vector<std::string_view> batch_keys_;
};

}  // namespace millrace
