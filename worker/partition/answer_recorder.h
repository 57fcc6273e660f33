// What services answer to a partition's calls, on its way into the verdict stream: the Step hears of an answer when it
// stands there, and what stands there is asked of nobody again, by this owner or a later one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/frame/verdict.h"
#include "common/handler/handler_call.h"
#include "common/handler/recorded_answers.h"

namespace millrace {

// Answers that are ordered to be written at once; the rest follows.
inline constexpr size_t kMaxAnswersAnOrder = 4096;
inline constexpr size_t kMaxAnswerBytesAnOrder = 4 << 20;
// So many calls that were asked are looked through for those that nobody answers any more, or twice what was left then.
inline constexpr size_t kLeastSwept = 1024;

// Not thread-safe.
class AnswerRecorder {
 public:
  // `known`: what earlier owners were answered, and what is written from now on. Outlives it.
  explicit AnswerRecorder(RecordedAnswers* known) : known_(known) {}

  // Of a stage's calls those to which no answer is known; `answers` gets those of the others.
  std::vector<HandlerCall> TakeKnown(const std::string& stage, std::vector<HandlerCall> calls,
                                     std::vector<CallAnswer>* answers) const;
  // They are asked now.
  void NoteAsked(const std::string& stage, const std::vector<HandlerCall>& calls);
  // Messages up to this one are done with: what was asked for them, and never answered, is forgotten some time.
  void ForgetUpTo(Offset offset);
  // Whether it waits until it is written. What is not ours, or has failed, does not: a failure is a verdict of its
  // own when the Step comes to it.
  bool Hold(CallAnswer* answer);
  // What is to be written, in order, behind what `order` has.
  void AppendOrder(std::vector<Verdict>* order) const;
  // The first so many of that order are written: the answers that now count.
  std::vector<CallAnswer> Written(size_t count);
  bool empty() const { return held_.empty(); }
  size_t asked() const { return asked_.size(); }

 private:
  struct Asked {
    std::string stage;
    HandlerCall call;
  };
  struct Held {
    Verdict verdict;
    CallOutcome outcome;
    std::vector<CallAnswer> takers;  // their outcomes are empty
  };

  RecordedAnswers* const known_;
  absl::flat_hash_map<uint64_t, Asked> asked_;  // by serial
  size_t sweep_at_ = kLeastSwept;               // so many of them
  std::deque<Held> held_;
};

}  // namespace millrace
