#include "common/handler/call_memos.h"

#include <algorithm>

#include "common/check.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMemoBytes = 512;  // what a call takes beside its texts

std::string_view PackedState(std::string_view state) { return state.empty() ? kNoPackedState : state; }

size_t BytesOf(const CallOutcome& outcome) {
  size_t bytes = outcome.why.size() + outcome.state.value_or("").size();
  for (const HandlerOutput& output : outcome.outputs) bytes += sizeof output + output.value.size();
  return bytes;
}

}  // namespace

size_t CallMemos::PositionOf(std::string_view name) const {
  const auto found = std::find_if(stages_.begin(), stages_.end(),
                                  [&](const HandlerStage& stage) { return stage.name == name; });
  return static_cast<size_t>(found - stages_.begin());
}

size_t CallMemos::StageNamed(std::string_view name) const {
  MILLRACE_CHECK(HasStage(name));
  return PositionOf(name);
}

void CallMemos::BeginRun() {
  cut_ = false;
  ahead_ = in_messages_behind_ = false;
  unapplied_.clear();
  ends_at_.clear();
  failed_.clear();
}

// Behind a failure it is not worth it: what becomes of the record is written down first.
bool CallMemos::HasRoomAhead() const {
  return outstanding_ < kMaxCallsAsked && by_serial_.size() < kMaxCallsKept && HasBytesAhead() &&
         failures_.empty();
}

bool CallMemos::HasBytesAhead() const {
  return bytes_ + outstanding_ * largest_answer_bytes_.value_or(kFirstAnswerBytes) < kMaxCallBytesKept;
}

// Its texts are as they stay for a while.
void CallMemos::Count(Memo& memo) {
  bytes_ -= memo.bytes;
  memo.bytes = kMemoBytes + memo.key.size() + memo.packed.size() + memo.state.value_or("").size() +
               BytesOf(memo.outcome);
  bytes_ += memo.bytes;
}

size_t CallMemos::outstanding(Offset offset) const {
  const auto found = messages_.find(offset.value());
  return found == messages_.end() ? 0 : found->second.outstanding;
}

CallMemos::Memo* CallMemos::Find(const Request& request) {
  const auto message = messages_.find(request.offset.value());
  if (message == messages_.end()) return nullptr;
  const auto found = message->second.memos.find(IdOf(request));
  return found == message->second.memos.end() ? nullptr : found->second.get();
}

bool CallMemos::IsFor(const Memo& memo, const Request& request) {
  return memo.packed == request.packed && memo.key == request.key && memo.is_timer == request.is_timer &&
         memo.ending == request.ending;
}

// Or will have, for all that is known.
bool CallMemos::HasStateOf(const Memo& memo, const Request& request) const {
  if (!is_keyed(request.stage)) return true;
  if (!unapplied_.empty()) {
    const auto last = unapplied_.find(KeyOfStage(request.stage, request.key));
    if (last != unapplied_.end()) return memo.before == last->second && last->second != kNotAsked;
  }
  return !memo.state.has_value() || *memo.state == request.state;
}

bool CallMemos::IsFinal(const Memo& memo) const {
  if (!memo.answered) return false;
  const CallOutcome::Kind kind = memo.outcome.kind;
  return kind == CallOutcome::Kind::kDone ||
         (kind == CallOutcome::Kind::kFailed && stages_[std::get<0>(memo.id)].is_ours());
}

// Also ahead of what is known, as long as nothing of its key is missing: else the stages behind would be asked
// for one record after the other. Where something is missing, what is behind would run in an order that never is.
bool CallMemos::IsUsable(const Memo& memo, const Request& request) const {
  if (!IsFinal(memo)) return false;
  if (!ahead_) return true;
  const auto end = ends_at_.find(ToAbsl(request.key));
  if (end != ends_at_.end() && end->second <= request.stage) return false;
  return !is_keyed(request.stage) || !unapplied_.contains(KeyOfStage(request.stage, request.key));
}

const CallOutcome* CallMemos::Ask(const Request& request) {
  if (ahead_) {
    const auto end = ends_at_.find(ToAbsl(request.key));
    if (end != ends_at_.end() && end->second < request.stage && is_ordered(request.stage)) return nullptr;
  }
  Memo* const memo = Find(request);
  if (memo == nullptr || !IsFor(*memo, request) || !HasStateOf(*memo, request)) {
    if (memo != nullptr) Remove(*memo);
    AskAnew(request);
    return EndUnit(request);
  }
  if (IsUsable(*memo, request)) return &memo->outcome;
  if (memo->answered && !ahead_) return TellFailure(*memo, request);
  const bool leaves_state = !memo->answered || IsFinal(*memo);
  unapplied_[KeyOfStage(request.stage, request.key)] = leaves_state ? memo->serial : kNotAsked;
  return EndUnit(request);
}

const CallOutcome* CallMemos::EndUnit(const Request& request) {
  cut_ = ahead_ = true;
  const auto [end, is_first] = ends_at_.try_emplace(std::string(request.key), request.stage);
  if (!is_first) end->second = std::min(end->second, request.stage);
  return nullptr;
}

// What becomes of a record that fails is known; of one whose handler was lost it depends on what is written down.
const CallOutcome* CallMemos::TellFailure(Memo& memo, const Request& request) {
  cut_ = true;
  failed_.push_back(Remove(memo));
  const CallOutcome& outcome = failed_.back()->outcome;
  const bool lost = outcome.kind == CallOutcome::Kind::kLost;
  failures_.push_back({request.stage, request.offset, request.record, lost, outcome.why});
  if (!lost) return &outcome;
  messages_[request.offset.value()].lost.insert(IdOf(request));
  unapplied_[KeyOfStage(request.stage, request.key)] = kNotAsked;
  return EndUnit(request);
}

// The message at the front has room of its own: it always gets on.
bool CallMemos::MayAsk(const Request& request) const {
  if (in_messages_behind_) return outstanding_ < kMaxCallsAsked && HasBytesAhead();
  return outstanding(request.offset) < kMaxCallsAsked;
}

void CallMemos::AskAnew(const Request& request) {
  const auto [last, is_first] = unapplied_.try_emplace(KeyOfStage(request.stage, request.key), kNotAsked);
  const bool builds_on_nothing_asked = !is_first && last->second == kNotAsked;
  if (builds_on_nothing_asked || !MayAsk(request)) {
    last->second = kNotAsked;
    return;
  }
  MessageCalls& message = messages_[request.offset.value()];
  std::unique_ptr<Memo>& memo = message.memos[IdOf(request)];
  memo = std::make_unique<Memo>();
  memo->id = IdOf(request);
  memo->offset = request.offset.value();
  memo->serial = ++serials_;
  memo->is_timer = request.is_timer;
  memo->ending = request.ending;
  memo->key = std::string(request.key);
  memo->packed = std::string(request.packed);
  HandlerCall call;
  call.asker = asker_;
  call.serial = memo->serial;
  call.is_timer = request.is_timer;
  call.ending = request.ending;
  call.nth = request.nth;
  call.suspect = message.lost.contains(memo->id);
  call.key = memo->key;
  call.packed = memo->packed;
  call.place = {asker_, request.segment, request.partition, request.offset, request.record};
  if (is_first || !is_keyed(request.stage)) {
    memo->state = std::string(request.state);
  } else {
    Build(*memo, last->second);
  }
  if (memo->state.has_value()) {
    call.state = std::string(PackedState(*memo->state));
  } else {
    call.after = memo->before;
  }
  Count(*memo);
  last->second = memo->serial;
  by_serial_[memo->serial] = memo.get();
  ++outstanding_;
  ++message.outstanding;
  asked_.emplace_back(request.stage, std::move(call));
}

// Its state is what the call `before` leaves.
void CallMemos::Build(Memo& memo, uint64_t before) {
  memo.before = before;
  Memo* const last = MemoOf(before);
  memo.state = StateBehind(last);
  if (last != nullptr) last->behind = memo.serial;
}

// It waits for no answer any more.
void CallMemos::Settle(Memo& memo) {
  --outstanding_;
  --messages_.at(memo.offset).outstanding;
}

std::unique_ptr<CallMemos::Memo> CallMemos::Remove(Memo& memo) {
  if (!memo.answered) Settle(memo);
  bytes_ -= memo.bytes;
  by_serial_.erase(memo.serial);
  auto& memos = messages_.at(memo.offset).memos;
  const auto found = memos.find(memo.id);
  std::unique_ptr<Memo> removed = std::move(found->second);
  memos.erase(found);
  return removed;
}

CallMemos::Memo* CallMemos::MemoOf(uint64_t serial) const {
  const auto found = by_serial_.find(serial);
  return found == by_serial_.end() ? nullptr : found->second;
}

// What it leaves; nullopt: that is not known, or it counts for nothing any more.
std::optional<std::string> CallMemos::StateBehind(const Memo* memo) const {
  if (memo == nullptr || !IsFinal(*memo)) return std::nullopt;
  const std::string_view left = memo->outcome.state.value_or(PackedState(*memo->state));
  return std::string(left == kNoPackedState ? std::string_view() : left);
}

void CallMemos::Finish(Offset offset) {
  while (!messages_.empty() && messages_.begin()->first <= offset.value()) {
    MessageCalls& message = messages_.begin()->second;
    for (const auto& [id, memo] : message.memos) {
      bytes_ -= memo->bytes;
      by_serial_.erase(memo->serial);
    }
    outstanding_ -= message.outstanding;
    messages_.erase(messages_.begin());
  }
  failed_.clear();
  failures_.clear();
}

std::vector<std::pair<size_t, std::vector<HandlerCall>>> CallMemos::TakeAsked() {
  std::vector<std::pair<size_t, std::vector<HandlerCall>>> by_stage;
  for (auto& [stage, call] : asked_) {
    auto same = std::find_if(by_stage.begin(), by_stage.end(),
                             [s = stage](const auto& part) { return part.first == s; });
    if (same == by_stage.end()) same = by_stage.insert(by_stage.end(), {stage, {}});
    same->second.push_back(std::move(call));
  }
  asked_.clear();
  return by_stage;
}

void CallMemos::Take(CallAnswer answer) {
  Memo* const memo = MemoOf(answer.serial);
  if (memo == nullptr || memo->answered) return;  // nobody waits for it any more
  // Not run, or on what counts for nothing.
  if (answer.outcome.kind == CallOutcome::Kind::kVoid || !memo->state.has_value()) {
    Remove(*memo);
    return;
  }
  Settle(*memo);
  memo->answered = true;
  memo->outcome = std::move(answer.outcome);
  Count(*memo);
  largest_answer_bytes_ = std::max(largest_answer_bytes_.value_or(0), BytesOf(memo->outcome));
  Memo* const behind = MemoOf(memo->behind);
  if (behind == nullptr || behind->state.has_value()) return;
  behind->state = StateBehind(memo);
  Count(*behind);
}

}  // namespace millrace
