// What a stage is to the Step: it takes a record and hands none, one or many to the next.
//
// A record goes down the chain of stages by nested calls, so that a failure anywhere comes back up to the
// Step before anything of the record has become final.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

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

class Stage;

// What the stages of one pipeline share while a Step runs. Owned by the pipeline.
struct StepContext {
  State* state = nullptr;
  CallObserver* observer = nullptr;
  UnitObserver* units = nullptr;
  RatePacer* pacer = nullptr;  // null: nothing waits for a rate
  Offset offset;
  SegmentId segment;
  PartitionId partition;
  uint32_t record = 0;         // position of the record (of a timer: behind the frame's last record)
  int64_t broker_time_ms = 0;  // this frame's
  uint64_t frame_serial = 0;   // differs from frame to frame: what a per-frame cache is keyed by
  bool ending = false;         // the input has ended: what is pending is being finished
  bool may_pause = false;      // a record runs, which can come again; not what time made due
  absl::Duration pause;        // set by Stage::Pause: the record has not failed, it is to come again
  const Stage* failed_stage =
      nullptr;  // set by Stage::Fail: the status is the record's error, not the disk's
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
    bool runs_code = true;  // the user's
    bool guards = false;    // its state only tells which records pass
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
  absl::Status HandOn(const RecordView& record) { return next_->Process(record); }
  StepContext& context() const { return *context_; }
  State& state() const { return *context_->state; }
  absl::Duration timeout() const { return timeout_; }

 private:
  const std::string name_;
  const absl::Duration timeout_;
  const ErrorPolicy errors_;
  StepContext* const context_;
  Stage* next_ = nullptr;
};

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
