// The pure heart: a partition is a deterministic state machine over its log,
//
//     Step(state, frame) -> (state, outputs)
//
// with no NATS, no RocksDB, no threads and no clock in it. The worker runs it; `try`, `test` and `verify` run
// the same code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/frame/frame.h"
#include "common/ids.h"
#include "common/job/job_spec.h"
#include "common/pipeline/state.h"
#include "common/pipeline/verdict_attempts.h"

namespace millrace {

class CallMemos;
class MessagesAhead;

// One message of the partition's log, as the Step takes it. Whoever calls has judged it under R3 already.
struct StepInput {
  Offset offset;
  int64_t broker_time_ms = 0;
  // A frame of ours (data, results of the segment before, end, tick, epoch), or, when `stranger` is set, any
  // client's message: one record whose payload is in the source's format.
  const FrameView* frame = nullptr;
  bool stranger = false;
  std::string_view payload;  // stranger's
  // Records of the frame with labels before this are passed over: they came with an earlier one.
  Mark taken_until;
  // How far event time has come in this partition with this message; kNoTime: nobody has said.
  int64_t watermark_ms = kNoTime;
  // Whether every writer has ended with this message (kEnd frames): timers then fire in order of their due
  // time, `final` is emitted.
  bool ends_input = false;
  // Where to go on in this frame: 0, or what a Step before answered in `resume_record`.
  uint32_t first_record = 0;
  // Whose log this is, for labels and to tell strangers that belong elsewhere; partitions 0: not checked.
  SegmentId segment;
  PartitionId partition;
  uint32_t partitions = 0;
  // How often a record of this partition took its process down or overran its time: from the verdict stream.
  const VerdictAttempts* attempts = nullptr;
  // What comes behind it, to be looked at while this message waits for calls; not owned, null: nothing is.
  MessagesAhead* ahead = nullptr;
};

// The messages behind one that waits for calls: a Step runs them ahead, without effect, so that their calls are
// asked meanwhile.
class MessagesAhead {
 public:
  virtual ~MessagesAhead() = default;
  // The next of them, as a Step would be given it if all before it were done. False: none is to be looked at.
  virtual bool Next(StepInput* input) = 0;
};

struct StepResult {
  bool done = true;
  // When not done: the record failed, and its retry is due after `retry_after`, or a rate limit makes it wait so
  // long; call again with first_record = resume_record. All records before it took effect; this one had none.
  uint32_t resume_record = 0;
  absl::Duration retry_after = absl::ZeroDuration();
  // When not done: calls of handlers are not answered yet (PipelineOptions::calls). This Step had no effect at all;
  // call again, with the same input, when they are.
  bool waits_for_calls = false;
};

// A record that could not be handled.
struct DeadLetter {
  uint32_t record = 0;  // its position in the frame
  std::string_view key;
  std::string_view value;  // as it was on the wire: see shape
  uint32_t shape = kRawShape;
  const FieldNames* fields = nullptr;
  int64_t time_ms = kNoTime;
  std::string stage;  // which stage: its name; empty when it never reached one
  std::string error;  // one line
  int attempts = 1;
};

// Where outputs go. Outputs of one Step come with rising `index` from 0 and the frame's offset.
class StepSink {
 public:
  virtual ~StepSink() = default;
  // The row's field names, when record.shape >= kFirstRowShape, are in record.fields; the number itself means
  // nothing here.
  virtual void Emit(const RecordView& record) = 0;
  virtual void Reject(const DeadLetter& letter) = 0;
};

// Told what user code is about to run, so that a watchdog can end a call that overruns its time. Called on
// the Step's thread, around each record that enters user code. Must be cheap.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void Enter(Offset offset, uint32_t record, absl::Duration timeout, const std::string& stage) = 0;
  virtual void Leave() = 0;
  // The code that runs crashed with this signal. Called from the signal's handler, between Enter and Leave, which then is
  // never called: only what is async-signal-safe may be done. The thread waits for a while (common/plugin/crash_guard.h)
  // and takes the process down, unless somebody else has ended it by then.
  virtual void Crash(int /*signal*/) {}
};

class RatePacer;  // rate_pacer.h

// A part of a Step that is all or nothing.
struct StepUnit {
  enum class Kind {
    kRecord,
    kDue,  // what time made due: a timer, a window that closes, or a key's turn in `every` or `final`
  };
  Kind kind = Kind::kRecord;
  uint32_t position = 0;  // in the frame; what is due counts on behind its last record
  std::string_view key;   // empty for a stranger's message that is no record
  int64_t time_ms = kNoTime;
  const RecordView* record = nullptr;  // kRecord; null for a stranger's message that is no record
};

// Told of each unit, so that a person can watch a Step. Between Begin and End lies what the unit does to the
// State and to the sink. May look a key up in a MemoryState (and no other State) from both.
class UnitObserver {
 public:
  virtual ~UnitObserver() = default;
  virtual void Begin(const StepUnit& unit) = 0;
  // Not called for a record that will be tried again: its next attempt begins anew. Not OK: it ends the Step.
  virtual void End(const absl::Status& status) = 0;
};

struct PipelineOptions {
  size_t lua_memory_bytes = 64 << 20;  // of one pipeline's Lua state; exceeding it is the record's error
  CallObserver* observer = nullptr;    // not owned; may be null
  UnitObserver* units = nullptr;       // not owned; may be null
  RatePacer* pacer = nullptr;          // not owned; null: nothing waits for a rate
  // Through which stages ask handler processes, and pools of threads where it has their stages; not owned. Null: a
  // Step that comes to a stage of handler processes fails with FAILED_PRECONDITION, and Lua runs here. REQUIRES: made
  // of the stages of the job that the pipeline is of.
  CallMemos* calls = nullptr;
};

// A job's stages, compiled, with the scratch memory (and Lua state) to run them. One for each partition or
// lane; not thread-safe.
class Pipeline {
 public:
  // INVALID_ARGUMENT when an expression does not compile: LINE:COLUMN of the stage, and what is wrong.
  // FAILED_PRECONDITION when the job is for a later engine (common/step_version.h).
  static absl::StatusOr<std::unique_ptr<Pipeline>> Create(const JobSpec& spec,
                                                          const PipelineOptions& options);
  virtual ~Pipeline() = default;

  // Applies one message. In this order: log-time timers and `every` that the frame's broker time makes due, the
  // frame's records, event-time timers and windows up to the watermark (which tells what these records complete),
  // and with `ends_input` every timer and window that is left, then `final`. After the state was put back to an
  // earlier commit, go on with a new Pipeline; between any two messages a new one may go on, also one of another
  // version of the job's code (common/job/code_fit.h). Errors: ABORTED, the job is to fail (on_error: fail) with
  // what happened in the message; anything else comes from `state` (the disk), and the partition must stop.
  // Records that fail otherwise go to sink.Reject.
  virtual absl::StatusOr<StepResult> Step(const StepInput& input, State& state, StepSink& sink) = 0;

  // What event time has come to behind these stages, where it has come to `watermark_ms` in front of them: windows
  // keep back what they hand on.
  virtual int64_t WatermarkBehind(int64_t watermark_ms) const = 0;

  // When something is due without input, in ms of log time: the earliest timer, or `emit: every`. kEndOfTime:
  // nothing.
  virtual int64_t NextDueMs(State& state) const = 0;

  // `state get`, `state scan`: the key's state as JSON, and the table it is looked up in (the last stage that
  // keeps any for more than to tell which records pass, else the last that keeps any). NOT_FOUND when the job keeps
  // no state, or none for this key.
  virtual absl::StatusOr<std::string> StateJson(State& state, std::string_view key) = 0;
  virtual absl::Status ScanStateJson(
      State& state, const ScanRange& range,
      const std::function<bool(std::string_view key, std::string json)>& visit) = 0;
  // Counts of `inspect` stages, by stage name, since this pipeline was made.
  virtual std::vector<std::pair<std::string, uint64_t>> InspectCounts() const = 0;
};

// Takes a record's key as the job says. Used by ingest, and by the Step for strangers. Not thread-safe.
class KeyExtractor {
 public:
  static absl::StatusOr<std::unique_ptr<KeyExtractor>> Create(const JobSpec& spec);
  virtual ~KeyExtractor() = default;
  // A line of the source, decoded: its value, key and event time, as views valid until the next call.
  // INVALID_ARGUMENT, one line, when it is no record: not JSON, no key, a time that does not parse. For csv,
  // SetCsvHeader comes first.
  struct Decoded {
    RecordView record;  // shape: kRawShape, kPackedShape, or kFirstRowShape with `fields` set
  };
  virtual absl::Status SetCsvHeader(std::string_view line) = 0;
  virtual absl::StatusOr<Decoded> Decode(std::string_view line) = 0;
};

}  // namespace millrace
