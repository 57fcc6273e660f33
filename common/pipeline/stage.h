// What a stage is to the Step: it takes a record and hands none, one or many to the next.
//
// A record goes down the chain of stages by nested calls, so that a failure anywhere comes back up to the
// Step before anything of the record has become final.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/frame/frame.h"
#include "common/ids.h"
#include "common/job/job_spec.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/state.h"
#include "common/strings.h"

namespace millrace {

// A stage that keeps state has two tables: in the first its values and its log-time timers (or the keys that
// wait for `every`), in the one behind it what else it needs by key: members of `distinct`, event-time
// timers.
inline constexpr TableId kSecondTable = 1;
inline constexpr TableId kTablesPerStage = 2;
inline constexpr size_t kMaxStatefulStages = kFirstHelperTable / kTablesPerStage;
// Where the stage whose first table this is keeps what StateExpiry needs.
constexpr TableId ExpiryTable(TableId table) { return kFirstHelperTable + table / kTablesPerStage; }
static_assert(ExpiryTable(kFirstHelperTable - kTablesPerStage) < kMaxStateTables);

class CallMemos;
class Stage;

// What the stages of one pipeline share while a Step runs. Owned by the pipeline.
struct StepContext {
  State* state = nullptr;
  CallObserver* observer = nullptr;
  CallMemos* calls = nullptr;  // null: no stage has handlers
  UnitObserver* units = nullptr;
  RatePacer* pacer = nullptr;  // null: nothing waits for a rate
  // Set by a stage that waits for a rate: nothing is looked at ahead, since what it will let pass is not known.
  bool waits_for_rates = false;
  // Where a run may be taken back, as it may with `calls`: what is done when it is not.
  std::vector<std::function<void()>> when_it_counts;
  Offset offset;
  SegmentId segment;
  PartitionId partition;
  uint32_t record = 0;         // position of the record (of a timer: behind the frame's last record)
  int64_t broker_time_ms = 0;  // this frame's
  uint64_t frame_serial = 0;   // differs from frame to frame: what a per-frame cache is keyed by
  bool ending = false;         // the input has ended: what is pending is being finished
  bool may_pause = false;      // a record runs, which can come again; not what time made due
  absl::Duration pause;        // set by Stage::Pause: the record has not failed, it is to come again
  // What has come so far of the input's event time: what waited for it, up to this, has been run. While time passes
  // it goes through all that lies between.
  int64_t event_time_ms = kNoTime;
  bool log_time_is_event_time = false;  // JobSpec
  const Stage* failed_stage =
      nullptr;                 // set by Stage::Fail: the status is the record's error, not the disk's
  bool letter_anyway = false;  // set by Stage::FailAsLetter: whatever `on_error` says
  // Of a unit that stands for no record: what it hands on, for its dead letter.
  const RecordView* due_value = nullptr;
};

// Runs one emission that stands for no record of the frame (a timer, a key of `every` or `final`) as a unit:
// all or nothing, failures handled as the job says. Its status is not OK only when the Step must stop.
using UnitRunner = absl::FunctionRef<absl::Status(std::string_view key, int64_t time_ms,
                                                  absl::FunctionRef<absl::Status()> body)>;

class Stage {
 public:
  struct Traits {
    bool can_fail = true;
    bool fans_out = false;  // may hand on more than one record for one taken
    bool keeps_state = false;
    bool runs_code = true;      // the user's
    bool guards = false;        // its state only tells which records pass
    bool fails_late = false;    // may fail after it has changed its state
    bool emits_at_end = false;  // Finish hands something on
  };

  Stage(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : name_(spec.code.name),
        timeout_(spec.code.timeout),
        errors_(spec.code.errors.value_or(job_errors)),
        context_(context) {}
  virtual ~Stage() = default;

  // Takes one record. The views hold until it returns. A failure of the record is returned by way of Fail;
  // any other error is the state's.
  virtual absl::Status Process(const RecordView& record) = 0;
  virtual Traits traits() const = 0;
  // A hint that records of these keys come next.
  virtual void Prefetch(absl::Span<const std::string_view> /*keys*/) {}

  // Log time went from `before_ms` to `now_ms`: emits what `every` made due.
  virtual absl::Status PassLogTime(int64_t /*before_ms*/, int64_t /*now_ms*/, UnitRunner /*run*/) {
    return absl::OkStatus();
  }
  // The input has ended and the timers have fired: emits what waited for the end.
  virtual absl::Status Finish(int64_t /*time_ms*/, UnitRunner /*run*/) { return absl::OkStatus(); }
  // The earliest log time at which something is due without input.
  virtual int64_t NextDueMs(State& /*state*/) const { return kEndOfTime; }

  // State for people: the table it lies in is this stage's. REQUIRES: traits().keeps_state.
  virtual absl::Status AppendStateJson(std::string_view /*value*/, std::string* /*out*/) const {
    return absl::NotFoundError("this stage keeps no state");
  }
  virtual uint64_t inspected() const { return 0; }
  // The record that runs will come again: what was counted of it is taken back.
  virtual void ForgetInspected() {}
  // What was counted of a message that will come again is taken back.
  virtual void SetInspected(uint64_t /*records*/) {}

  // By how much event time is later here than at the input: windows before this stage keep what they hand on for as
  // long as their lateness.
  void set_event_delay_ms(int64_t delay_ms) { event_delay_ms_ = delay_ms; }

  void set_next(Stage* next) { next_ = next; }
  const std::string& name() const { return name_; }
  const ErrorPolicy& errors() const { return errors_; }

 protected:
  absl::Status Fail(std::string_view message) {
    context_->failed_stage = this;
    return absl::InvalidArgumentError(ToAbsl(message));
  }
  absl::Status Fail(const absl::Status& status) { return Fail(ToStd(status.message())); }
  // The record is to have no effect now, and to come again after `wait`. REQUIRES: context().may_pause.
  absl::Status Pause(absl::Duration wait) {
    context_->pause = wait;
    return absl::UnavailableError("the record waits");
  }
  // The record becomes a dead letter, also where the job has another way with errors.
  absl::Status FailAsLetter(std::string_view message) {
    context_->letter_anyway = true;
    return Fail(message);
  }
  absl::Status HandOn(const RecordView& record) { return next_->Process(record); }
  StepContext& context() const { return *context_; }
  State& state() const { return *context_->state; }
  absl::Duration timeout() const { return timeout_; }
  int64_t event_delay_ms() const { return event_delay_ms_; }

 private:
  const std::string name_;
  const absl::Duration timeout_;
  const ErrorPolicy errors_;
  StepContext* const context_;
  int64_t event_delay_ms_ = 0;
  Stage* next_ = nullptr;
};

// A stage at which the passing of time makes something due: timers that fire, windows that close.
class TimedStage {
 public:
  enum class Clock { kLog, kEvent };  // kEvent: the input's watermark

  virtual ~TimedStage() = default;
  // Whether anything waits for that clock, and when the first of it is due; kEndOfTime: when all is over.
  virtual bool Waits(Clock clock) const = 0;
  virtual int64_t FirstDueMs(Clock clock) const = 0;
  // Takes the first out of what waits, and runs it. REQUIRES: Waits(clock).
  virtual absl::Status RunFirst(Clock clock, UnitRunner run) = 0;
  // Whether what runs may have itself run again, so that rounds at the end of the input need a bound.
  virtual bool repeats() const = 0;
};

// `time_ms` of event time at the input, for a stage that is `delay_ms` behind it; and the way back.
inline int64_t DelayedEventTime(int64_t time_ms, int64_t delay_ms) {
  if (time_ms == kNoTime || time_ms == kEndOfTime) return time_ms;
  return time_ms > kNoTime + delay_ms ? time_ms - delay_ms : kNoTime;
}
inline int64_t WatermarkFor(int64_t due_ms, int64_t delay_ms) {
  return due_ms > kEndOfTime - delay_ms ? kEndOfTime : due_ms + delay_ms;
}

// Why an output of so many bytes fails its record (common/broker_limits.h).
std::string OutputTooLarge(size_t bytes);

// Tells the observer that user code runs, for as long as this lives.
class ObservedCall {
 public:
  ObservedCall(const StepContext& context, absl::Duration timeout, const std::string& stage)
      : observer_(context.observer) {
    if (observer_ != nullptr) observer_->Enter(context.offset, context.record, timeout, stage);
  }
  ~ObservedCall() {
    if (observer_ != nullptr) observer_->Leave();
  }
  ObservedCall(const ObservedCall&) = delete;
  ObservedCall& operator=(const ObservedCall&) = delete;

 private:
  CallObserver* const observer_;
};

}  // namespace millrace
