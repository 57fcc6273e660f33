#include "worker/partition/answer_recorder.h"

#include <algorithm>
#include <utility>

#include "common/handler/call_request.h"

namespace millrace {
namespace {

bool IsSameCall(const Verdict& a, const Verdict& b) {
  return a.offset == b.offset && a.record == b.record && a.nth == b.nth && a.stage == b.stage &&
         a.request == b.request;
}

}  // namespace

std::vector<HandlerCall> AnswerRecorder::TakeKnown(const std::string& stage, std::vector<HandlerCall> calls,
                                                   std::vector<CallAnswer>* answers) const {
  std::vector<HandlerCall> rest;
  for (HandlerCall& call : calls) {
    if (const auto known = known_->Find(stage, call)) {
      answers->push_back({call.asker, call.serial, OutcomeOfHttpAnswer(*known)});
    } else {
      rest.push_back(std::move(call));
    }
  }
  return rest;
}

void AnswerRecorder::NoteAsked(const std::string& stage, const std::vector<HandlerCall>& calls) {
  for (const HandlerCall& call : calls) asked_[call.serial] = {stage, call};
}

// A pool that was let go answers nobody.
void AnswerRecorder::ForgetUpTo(Offset offset) {
  if (asked_.size() < sweep_at_) return;
  absl::erase_if(asked_, [&](const auto& entry) { return entry.second.call.place.offset <= offset; });
  sweep_at_ = std::max(kLeastSwept, 2 * asked_.size());
}

bool AnswerRecorder::Hold(CallAnswer* answer) {
  const auto asked = asked_.find(answer->serial);
  if (asked == asked_.end()) return false;
  const Asked of = std::move(asked->second);
  asked_.erase(asked);
  if (answer->outcome.kind != CallOutcome::Kind::kDone) return false;
  // Under new code a call may have been asked a second time before the first answer came.
  if (const auto known = known_->Find(of.stage, of.call)) {
    answer->outcome = OutcomeOfHttpAnswer(*known);
    return false;
  }
  Verdict verdict = AnswerVerdict(of.stage, of.call, answer->outcome);
  CallOutcome outcome = std::exchange(answer->outcome, {});
  const auto same = std::find_if(held_.begin(), held_.end(),
                                 [&](const Held& held) { return IsSameCall(held.verdict, verdict); });
  if (same != held_.end()) {
    same->takers.push_back(std::move(*answer));
  } else {
    held_.push_back({std::move(verdict), std::move(outcome), {std::move(*answer)}});
  }
  return true;
}

void AnswerRecorder::AppendOrder(std::vector<Verdict>* order) const {
  size_t count = 0, bytes = 0;
  for (const Held& held : held_) {
    bytes += held.verdict.reason.size();
    if (++count > kMaxAnswersAnOrder || (count > 1 && bytes > kMaxAnswerBytesAnOrder)) return;
    order->push_back(held.verdict);
  }
}

std::vector<CallAnswer> AnswerRecorder::Written(size_t count) {
  std::vector<CallAnswer> answers;
  for (size_t i = 0; i < count; ++i) {
    Held& held = held_.front();
    known_->Add(held.verdict);
    for (CallAnswer& taker : held.takers) {
      taker.outcome = held.outcome;
      answers.push_back(std::move(taker));
    }
    held_.pop_front();
  }
  return answers;
}

}  // namespace millrace
