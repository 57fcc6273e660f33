// A partition's calls of handlers and services: asks their pools, and writes down what fails, and what services answer,
// before the Step hears of it, so that an heir comes to the same (verdicts). Runs on the owner's lane; never blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/frame/verdict.h"
#include "common/handler/call_memos.h"
#include "common/handler/handler_call.h"
#include "common/handler/recorded_answers.h"
#include "common/job/job_spec.h"
#include "common/pipeline/verdict_attempts.h"
#include "worker/partition/answer_recorder.h"
#include "worker/partition/answer_window.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/look_ahead.h"

namespace millrace {

// The pool of one stage's handlers in this process. While it is held, handlers may connect; answers to what is
// asked come to the partition, unless it let go meanwhile.
class StageHandlers {
 public:
  virtual ~StageHandlers() = default;
  virtual void Ask(std::vector<HandlerCall> calls) = 0;
  // What is waited for, for people; empty: there are handlers.
  virtual std::string waits_for() const = 0;
};

// How many verdicts of a partition may have been written at the time of an answer of the ports.
struct WrittenVerdicts {
  size_t written = 0;
  LogTail tail;  // of the verdict stream, behind them
  absl::Status status;
};

class PartitionCallPorts {
 public:
  virtual ~PartitionCallPorts() = default;
  virtual std::unique_ptr<StageHandlers> UseHandlers(const HandlerStage& stage) = 0;
  // On another thread, one order at a time; Partition::HandleVerdicts follows.
  virtual void WriteVerdicts(const LogTail& tail, std::vector<Verdict> verdicts) = 0;
  // Likewise; Partition::HandleAnswersRead follows.
  virtual void ReadAnswers(AnswerReading reading) = 0;
};

class PartitionCalls {
 public:
  struct Start {
    uint64_t asker = 0;
    std::string uid;  // the job's
    LogTail verdict_tail;
    Mark low_mark;                        // outputs before it are out
    VerdictAttempts* attempts = nullptr;  // not owned; what is written down is counted here
    RecordedAnswers* answers = nullptr;   // likewise, of services
    AnswersKept kept;                     // what of the verdict stream is in them
    Offset done;                          // last applied
  };
  PartitionCalls(PartitionCallPorts& ports, Clock& clock, Start start);

  // The code in force is this from now on. Between two messages only.
  void UseCode(const JobSpec& job);
  // What the pipeline of that code asks through; null: no stage has handlers.
  CallMemos* memos() { return memos_.get(); }

  // --- the Step
  // It came back without effect, having looked ahead: asks for answers that are missing, and has written down what
  // failed.
  void Ask(const QueueAhead& seen);
  // The message, and all before it, have had their effect.
  void Finish(Offset offset);
  // Whether the Step of the message at the front may come (again): what it waits for is there, and written down; or
  // there is more to ask for, up to the newest message.
  bool MayStep(Offset front, Offset newest) const;

  // --- what happens
  void HandleAnswers(std::vector<CallAnswer> answers);
  // FAILED_PRECONDITION: a later owner is there.
  absl::Status HandleVerdicts(WrittenVerdicts written);
  // DATA_LOSS: the verdict stream is not what it was.
  absl::Status HandleAnswersRead(absl::StatusOr<AnswersRead> read);
  void Tick();

  // Where the Step waits for calls: for what, for people; empty: nothing special.
  std::string WaitsFor(Offset front) const;

 private:
  bool HasWhatItNeeds(Offset front) const;
  void Charge(const CallMemos::Failure& failure);
  void WriteVerdicts();
  void AskStage(size_t stage, std::vector<HandlerCall> calls);
  void AskParked();
  void ReadAnswers();

  PartitionCallPorts& ports_;
  Clock& clock_;
  const Start start_;
  LogTail verdict_tail_;
  std::unique_ptr<CallMemos> memos_;
  std::vector<std::unique_ptr<StageHandlers>> handlers_;  // by stage of memos_
  std::vector<ErrorPolicy> errors_;                       // by stage of memos_
  bool stops_in_messages_ = false;  // outputs of a message can leave before all of it is decided

  LookAheadPace pace_;
  uint64_t last_serial_ = 0;

  std::vector<Verdict> verdicts_;  // to be written, the first `writing_` of them are under way
  size_t writing_ = 0;
  bool is_writing_ = false;  // these, or answers
  AnswerRecorder recorder_;
  AnswerWindow window_;
  Offset done_;
  // Calls to which the answer may stand where the window has not come to; by stage of memos_.
  std::vector<std::pair<size_t, std::vector<HandlerCall>>> parked_;
  absl::Duration write_at_;  // not before
  absl::Duration step_at_;   // the next attempt of a call is due
  std::string trouble_;      // with a call whose outputs are out
};

}  // namespace millrace
