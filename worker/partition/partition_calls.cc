#include "worker/partition/partition_calls.h"

#include <algorithm>
#include <utility>

#include "common/handler/handler_stages.h"
#include "common/job/branches.h"
#include "common/log.h"
#include "common/pipeline/error_policy.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kWriteAgain = absl::Milliseconds(200);
constexpr absl::Duration kDecidedAgain = absl::Seconds(1);  // a call that has to go well, and did not

// Such a stage ends the Step in the middle of a message, to retry or to wait, and what came before leaves.
bool StopsInMessages(const JobSpec& job) {
  const std::vector<const StageSpec*> stages = AllStages(job.stages);
  return std::any_of(stages.begin(), stages.end(), [&](const StageSpec* stage) {
    const bool waits = std::holds_alternative<RateLimitStage>(stage->what);
    return waits ||
           (RemoteOf(*stage).empty() && stage->code.errors.value_or(job.errors).on_error == OnError::kRetry);
  });
}

}  // namespace

PartitionCalls::PartitionCalls(PartitionCallPorts& ports, Clock& clock, Start start)
    : ports_(ports),
      clock_(clock),
      start_(std::move(start)),
      verdict_tail_(start_.verdict_tail),
      recorder_(start_.answers),
      window_(start_.answers, start_.kept, start_.verdict_tail.last_sequence),
      done_(start_.done) {}

void PartitionCalls::UseCode(const JobSpec& job) {
  std::vector<HandlerStage> stages = HandlerStagesOf(job, start_.uid, PooledLua::kInThreads);
  // Handlers of a stage that stays keep their connections: its pool is let go when it is held again.
  std::vector<std::unique_ptr<StageHandlers>> handlers;
  errors_.clear();
  for (const HandlerStage& stage : stages) {
    handlers.push_back(ports_.UseHandlers(stage));
    for (const StageSpec* const spec : AllStages(job.stages)) {
      if (spec->code.name == stage.name) errors_.push_back(spec->code.errors.value_or(job.errors));
    }
  }
  handlers_ = std::move(handlers);
  stops_in_messages_ = StopsInMessages(job);
  // Answers to what the code before has asked for may still come.
  const uint64_t serials = memos_ == nullptr ? last_serial_ : memos_->last_serial();
  last_serial_ = serials;
  pace_ = {};
  parked_.clear();
  memos_ = stages.empty() ? nullptr : std::make_unique<CallMemos>(start_.asker, std::move(stages), serials);
}

void PartitionCalls::Ask(const QueueAhead& seen) {
  pace_.Looked(seen.last_seen(), seen.saw_all(), memos_->outstanding());
  for (const CallMemos::Failure& failure : memos_->TakeFailures()) Charge(failure);
  WriteVerdicts();
  for (auto& [stage, calls] : memos_->TakeAsked()) AskStage(stage, std::move(calls));
  ReadAnswers();
}

// Calls that are parked once keep their order: what may have an answer in the rest, all behind it may have.
void PartitionCalls::AskStage(size_t stage, std::vector<HandlerCall> calls) {
  const HandlerStage& of = memos_->stages()[stage];
  if (of.is_recorded()) {
    std::vector<CallAnswer> known;
    std::vector<HandlerCall> parked;
    for (HandlerCall& call : recorder_.TakeKnown(of.name, std::exchange(calls, {}), &known)) {
      (window_.MayHave(call.place.offset) ? parked : calls).push_back(std::move(call));
    }
    for (CallAnswer& answer : known) memos_->Take(std::move(answer));
    recorder_.NoteAsked(of.name, calls);
    if (!parked.empty()) parked_.emplace_back(stage, std::move(parked));
  }
  if (!calls.empty()) handlers_[stage]->Ask(std::move(calls));
}

void PartitionCalls::AskParked() {
  for (auto& [stage, calls] : std::exchange(parked_, {})) AskStage(stage, std::move(calls));
}

// The message at the front may have been looked at long ago, when it was behind.
void PartitionCalls::ReadAnswers() {
  const Offset front = done_.Next();
  const auto is_missed = [&](const auto& part) {
    return std::any_of(part.second.begin(), part.second.end(),
                       [&](const HandlerCall& call) { return call.place.offset <= front; });
  };
  const bool misses = std::any_of(parked_.begin(), parked_.end(), is_missed);
  std::optional<AnswerReading> reading =
      window_.Next(done_, misses ? std::optional<Offset>(front) : std::nullopt, clock_.Monotonic());
  if (reading.has_value()) ports_.ReadAnswers(*std::move(reading));
}

void PartitionCalls::Finish(Offset offset) {
  if (memos_ != nullptr) memos_->Finish(offset);
  start_.answers->ForgetUpTo(offset);
  recorder_.ForgetUpTo(offset);
  done_ = offset;
  trouble_.clear();
}

bool PartitionCalls::HasWhatItNeeds(Offset front) const {
  return verdicts_.empty() && memos_->outstanding(front) == 0 && clock_.Monotonic() >= step_at_;
}

bool PartitionCalls::MayStep(Offset front, Offset newest) const {
  if (memos_ == nullptr) return true;
  if (memos_->outstanding(front) == 0) return HasWhatItNeeds(front);
  return verdicts_.empty() && pace_.IsDue(front, newest, memos_->outstanding());
}

void PartitionCalls::HandleAnswers(std::vector<CallAnswer> answers) {
  if (memos_ == nullptr) return;
  for (CallAnswer& answer : answers) {
    if (!recorder_.Hold(&answer)) memos_->Take(std::move(answer));
  }
  WriteVerdicts();
}

// Where outputs of the message are out already, an earlier owner has settled what becomes of its calls: those that
// fail by verdicts are written down, and the others went well. They have to again.
void PartitionCalls::Charge(const CallMemos::Failure& failure) {
  const std::string& stage = memos_->stages()[failure.stage].name;
  const Mark decided_up_to = stops_in_messages_ ? Mark{start_.low_mark.offset, 0} : start_.low_mark;
  if (Mark{failure.offset.value(), 0} < decided_up_to) {
    trouble_ = StrCat("outputs of message ", failure.offset.value(), " are out, and stage ", stage,
                      " now fails: ", failure.why, " — it is tried again until it goes well");
    LogWarning("a call that went well before fails now", {{"why", trouble_}});
    step_at_ = clock_.Monotonic() + kDecidedAgain;
    return;
  }
  Verdict verdict{failure.offset, failure.record, failure.why, stage,
                  failure.lost ? Verdict::Outcome::kLost : Verdict::Outcome::kFailed};
  const auto spent = start_.attempts->find({failure.offset.value(), failure.record});
  const int attempts = 1 + (spent == start_.attempts->end() ? 0 : spent->second.failures);
  const ErrorPolicy& policy = errors_[failure.stage];
  if (!failure.lost && DecideOnError(policy, attempts) == ErrorAction::kRetryLater) {
    step_at_ = std::max(step_at_, clock_.Monotonic() + BackoffAfter(policy.retry.backoff, attempts));
  }
  verdicts_.push_back(std::move(verdict));
}

// Failures first: the message at the front waits for them.
void PartitionCalls::WriteVerdicts() {
  if (is_writing_ || clock_.Monotonic() < write_at_) return;
  std::vector<Verdict> order = verdicts_;
  writing_ = order.size();
  recorder_.AppendOrder(&order);
  if (order.empty()) return;
  is_writing_ = true;
  ports_.WriteVerdicts(verdict_tail_, std::move(order));
}

absl::Status PartitionCalls::HandleVerdicts(WrittenVerdicts written) {
  verdict_tail_ = std::move(written.tail);
  const size_t failures = std::min(written.written, writing_);
  for (size_t i = 0; i < failures; ++i) CountVerdict(verdicts_[i], start_.attempts);
  verdicts_.erase(verdicts_.begin(), verdicts_.begin() + static_cast<ptrdiff_t>(failures));
  for (CallAnswer& answer : recorder_.Written(written.written - failures)) {
    if (memos_ != nullptr) memos_->Take(std::move(answer));
  }
  writing_ = 0;
  is_writing_ = false;
  if (absl::IsFailedPrecondition(written.status) || absl::IsDataLoss(written.status)) return written.status;
  if (!written.status.ok()) write_at_ = clock_.Monotonic() + kWriteAgain;
  WriteVerdicts();
  return absl::OkStatus();
}

absl::Status PartitionCalls::HandleAnswersRead(absl::StatusOr<AnswersRead> read) {
  if (absl::Status taken = window_.Take(std::move(read), clock_.Monotonic()); !taken.ok()) return taken;
  AskParked();
  ReadAnswers();
  return absl::OkStatus();
}

void PartitionCalls::Tick() {
  WriteVerdicts();
  ReadAnswers();
}

std::string PartitionCalls::WaitsFor(Offset front) const {
  if (memos_ == nullptr || HasWhatItNeeds(front)) return {};
  if (!trouble_.empty()) return trouble_;
  for (size_t i = 0; i < handlers_.size(); ++i) {
    const std::string waits_for = handlers_[i]->waits_for();
    if (!waits_for.empty()) return StrCat("stage ", memos_->stages()[i].name, " ", waits_for);
  }
  return {};
}

}  // namespace millrace
