// Which calls go into the next batch, and what becomes of those of a batch that came to an end, one way or
// another. Pure: no socket, no clock.
//
// Calls of one key go out in the order in which they came, and in one batch at a time. The calls of a batch that
// was lost after it was begun are suspects: they go out again in kSuspectParts parts, until one call stands alone.
// A batch of suspects goes to a handler that has nothing else, and gets nothing else: a process that dies takes
// with it results that it has given to its socket, and nobody must pay for the call that came next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/handler/batch.h"
#include "common/handler/handler_call.h"

namespace millrace {

inline constexpr int kMaxUnbegunLosses =
    3;  // a call whose batches were lost so often before they were begun: as if
        // the last had been
inline constexpr size_t kSuspectParts = 8;
inline constexpr size_t kLinesCompared = 32;  // from the first, when the longest is looked for

// Not thread-safe. What it may hold is bounded by who asks: kMaxCallsAsked for each asker (call_memos.h).
class CallQueue {
 public:
  struct Line;
  // A call from when it is asked for until it is answered.
  struct Task {
    HandlerCall call;
    Line* line = nullptr;  // of its key
    uint32_t handed_out = 0;
    int unbegun_losses = 0;
    bool suspect = false;
  };
  using Tasks = std::vector<std::unique_ptr<Task>>;

  // What may go into one batch.
  struct Limits {
    size_t calls = kMaxBatchCalls;
    size_t bytes = 1 << 20;
  };
  struct Batch {
    Tasks tasks;  // empty: nothing may go now
    bool suspects = false;
  };

  // What binds calls of one key to one another.
  struct Rules {
    bool by_key = true;        // they go out one after the other
    bool builds_state = true;  // each is given what the one before leaves
    bool failure_ends = true;  // what comes behind a call that failed waits for what is decided about it
  };
  static Rules RulesFor(const HandlerStage& stage);

  CallQueue();
  explicit CallQueue(Rules rules);
  ~CallQueue();
  // For calls that come from now on.
  void SetRules(Rules rules) { rules_ = rules; }

  // Answered at once where it builds on a call that is not here (any more): only who asked knows that one's state.
  void Add(HandlerCall call, std::vector<CallAnswer>* answers);
  // Its calls need no answers any more. Those that are out come back to nobody.
  void DropAsker(uint64_t asker);

  // The next batch, which is out from now on. `idle`: the handler that it is for has no other.
  Batch Next(const Limits& limits, bool idle);  // NOLINT: the name of the flag is its meaning
  // Those with the state that their keys have now. REQUIRES: tasks of one batch that is out.
  static std::vector<BatchCall> CallsOf(const Tasks& tasks);

  // The batch came back: what it did not come to is asked for again, the rest is answered.
  void Accept(Tasks tasks, JudgedResult result, std::vector<CallAnswer>* answers);
  // The batch is lost: nothing of it has happened. `begun`: its handler had begun it. `alone`: and had no other.
  struct Loss {
    bool begun = false;
    bool alone = false;
    std::string why;
  };
  void Lose(Tasks tasks, const Loss& loss, std::vector<CallAnswer>* answers);

  size_t waiting() const { return waiting_; }           // asked for and not out
  size_t ready_lines() const { return ready_.size(); }  // so many batches could go out at once

 private:
  using Key = std::pair<uint64_t, std::string>;  // asker and key

  Line& LineOf(const HandlerCall& call);
  void MakeReady(Line& line);
  // No longer out. What nobody waits for, or builds on, is forgotten.
  void ComeBack(const std::vector<Line*>& lines);
  size_t NextSuspects() const;
  Tasks TakeReady(const Limits& limits);
  void BringLongestToFront();
  void TakeLine(Line& line, const Limits& limits, Tasks* batch, size_t* bytes);
  void Hold(Tasks group, size_t at);
  void PutBack(Tasks tasks);
  void Suspect(Tasks tasks);
  static void Answer(const Task& task, CallOutcome outcome, std::vector<CallAnswer>* answers);
  void VoidFollowers(Line& line, std::vector<CallAnswer>* answers);

  Key KeyOf(const HandlerCall& call) const;

  Rules rules_;
  absl::flat_hash_map<Key, std::unique_ptr<Line>> lines_;
  std::vector<std::unique_ptr<Line>> dropped_;  // whose asker is gone, with calls that are out
  std::deque<Line*> ready_;  // lines with calls that wait, and none that is out or suspected
  bool longest_next_ = false;
  std::deque<Tasks> suspects_;
  size_t waiting_ = 0;
};

}  // namespace millrace
