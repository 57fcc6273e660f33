// What a partition knows of the calls that its stages have handlers run: asked for, answered, and whether an
// answer is one to the very call that the Step makes.
//
// The Step is synchronous and handlers are elsewhere. So a Step that comes to a call without an answer asks for
// it, and goes on only to find which calls come next, also those of the messages behind it; then all that it did is
// taken back, and it comes again when the answers to its own are there. An answer is used only where the call's
// inputs, the key's state among them, are byte for byte those that it was given. So calls can be made ahead, of
// several records of one key at once, on what the one before will leave: where that turns out otherwise, the answer
// counts for nothing and the call is made again. Likewise a failure counts only when a Step comes to it by what is
// known, and not ahead. So what is worked out ahead can make a Step slower, and never wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/handler/handler_call.h"
#include "common/ids.h"

namespace millrace {

// Asked for and not answered: of the message at the front, and of all together; the rest is asked for when these are.
inline constexpr size_t kMaxCallsAsked = 8192;
// Answered or not, of messages that are not done: beyond that nothing is looked at ahead.
inline constexpr size_t kMaxCallsKept = 2 * kMaxCallsAsked;
// Likewise, of what they take in memory with their answers. One that is under way is reckoned with the largest answer that
// has come; before any has, with kFirstAnswerBytes. What one message asks for is bounded by its records alone: it steps when
// all of it is there.
inline constexpr size_t kMaxCallBytesKept = 64 << 20;
inline constexpr size_t kFirstAnswerBytes = 256 << 10;

// Not thread-safe.
class CallMemos {
 public:
  // `asker`: the partition's number for its pools. Calls are numbered behind `last_serial`.
  CallMemos(uint64_t asker, std::vector<HandlerStage> stages, uint64_t last_serial = 0)
      : asker_(asker), stages_(std::move(stages)), serials_(last_serial) {}

  const std::vector<HandlerStage>& stages() const { return stages_; }
  bool HasStage(std::string_view name) const { return PositionOf(name) < stages_.size(); }
  // The position of the stage of that name. REQUIRES: there is one.
  size_t StageNamed(std::string_view name) const;

  // --- for the Step
  struct Request {
    size_t stage = 0;
    SegmentId segment;
    PartitionId partition;
    Offset offset;
    uint32_t record = 0;  // the unit's position, as in StepUnit
    uint32_t nth = 0;     // which of the unit's calls of this stage
    bool is_timer = false;
    bool ending = false;
    std::string_view key;
    std::string_view packed;  // as HandlerCall
    std::string_view state;   // packed; empty: none
  };
  // A run of the message at the front begins.
  void BeginRun();
  // The run goes on with the messages behind it.
  void BeginAhead() { ahead_ = in_messages_behind_ = true; }
  // Whether it may go on with another one.
  bool HasRoomAhead() const;
  // What came of this very call: kDone, or kFailed, and then the unit fails. nullptr: that is not known yet, or
  // something before it is not, or its handler was lost; the unit then ends here. The answer holds until Finish.
  const CallOutcome* Ask(const Request& request);
  // Whether nothing of this run counts: calls have no answers yet, or failed, which is to be written down first.
  bool cut() const { return cut_; }
  // The message, and all before it, have had their effect.
  void Finish(Offset offset);

  // --- for the Step's owner
  // What is to be asked of each stage's handlers since the last time.
  std::vector<std::pair<size_t, std::vector<HandlerCall>>> TakeAsked();
  void Take(CallAnswer answer);
  // Calls without an answer: of all messages, and of one.
  size_t outstanding() const { return outstanding_; }
  size_t outstanding(Offset offset) const;
  // What is kept in memory of calls and answers.
  size_t bytes() const { return bytes_; }
  uint64_t last_serial() const { return serials_; }
  // Calls that the last run came to which failed, or whose handlers were lost: each once. They are asked for again
  // when the Step comes to them again, unless it then knows that they are spent.
  struct Failure {
    size_t stage = 0;
    Offset offset;
    uint32_t record = 0;
    bool lost = false;
    std::string why;
  };
  std::vector<Failure> TakeFailures() { return std::exchange(failures_, {}); }

 private:
  using Id = std::tuple<size_t, uint32_t, uint32_t>;  // of a message's calls: stage, record, nth
  struct Memo {
    Id id;
    uint64_t offset = 0;
    uint64_t serial = 0;
    bool is_timer = false, ending = false;
    std::string key, packed;
    std::optional<std::string> state;  // empty: none; nullopt: what `before` leaves
    uint64_t before = 0;  // the serial of the call before it of its key, where `state` follows from it
    uint64_t behind = 0;  // the serial of the call behind it whose state follows from this one
    bool answered = false;
    CallOutcome outcome;
    size_t bytes = 0;  // as counted in bytes_
  };
  struct MessageCalls {
    absl::flat_hash_map<Id, std::unique_ptr<Memo>> memos;
    absl::flat_hash_set<Id> lost;  // their handlers were
    size_t outstanding = 0;
  };
  using KeyOfStage = std::pair<size_t, std::string>;
  static constexpr uint64_t kNotAsked = 0;

  size_t PositionOf(std::string_view name) const;
  bool is_keyed(size_t stage) const { return stages_[stage].mode == HandlerMode::kKeyed; }
  // Whether it makes calls of a key in their order.
  bool is_ordered(size_t stage) const { return stages_[stage].ordered != CallOrder::kNone; }
  // Whether that is what becomes of the call: it ran, or what it runs on fails each time.
  bool IsFinal(const Memo& memo) const;
  static Id IdOf(const Request& request) { return {request.stage, request.record, request.nth}; }
  Memo* Find(const Request& request);
  static bool IsFor(const Memo& memo, const Request& request);
  bool HasStateOf(const Memo& memo, const Request& request) const;
  bool IsUsable(const Memo& memo, const Request& request) const;
  const CallOutcome* EndUnit(const Request& request);
  const CallOutcome* TellFailure(Memo& memo, const Request& request);
  bool MayAsk(const Request& request) const;
  bool HasBytesAhead() const;
  void Count(Memo& memo);
  void AskAnew(const Request& request);
  void Build(Memo& memo, uint64_t before);
  void Settle(Memo& memo);
  std::unique_ptr<Memo> Remove(Memo& memo);
  Memo* MemoOf(uint64_t serial) const;
  std::optional<std::string> StateBehind(const Memo* memo) const;

  const uint64_t asker_;
  const std::vector<HandlerStage> stages_;
  std::map<uint64_t, MessageCalls> messages_;  // by offset
  absl::flat_hash_map<uint64_t, Memo*> by_serial_;
  // The last call of each key that this run has not applied: what comes behind it builds on it.
  absl::flat_hash_map<KeyOfStage, uint64_t> unapplied_;
  // The first stage at which a key's records end in this run: what comes to the stages behind it is not known.
  absl::flat_hash_map<std::string, size_t> ends_at_;
  bool cut_ = false;
  bool ahead_ = false;                         // the run has come beyond what is known
  bool in_messages_behind_ = false;            // or beyond the message at the front
  std::vector<std::unique_ptr<Memo>> failed_;  // that the Step was told of
  uint64_t serials_;                           // given out
  size_t outstanding_ = 0;
  size_t bytes_ = 0;
  std::optional<size_t> largest_answer_bytes_;
  std::vector<std::pair<size_t, HandlerCall>> asked_;
  std::vector<Failure> failures_;
};

}  // namespace millrace
