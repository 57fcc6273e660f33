#include "common/handler/call_memos.h"

#include <algorithm>

#include "common/check.h"

namespace millrace {
namespace {

std::string_view PackedState(std::string_view state) { return state.empty() ? kNoPackedState : state; }

}  // namespace

size_t CallMemos::StageNamed(std::string_view name) const {
  const auto found = std::find_if(stages_.begin(), stages_.end(),
                                  [&](const HandlerStage& stage) { return stage.name == name; });
  MILLRACE_CHECK(found != stages_.end());
  return static_cast<size_t>(found - stages_.begin());
}

void CallMemos::BeginRun() {
  cut_ = false;
  ahead_ = false;
  unapplied_.clear();
  failed_.clear();
}

bool CallMemos::IsFor(const Memo& memo, const Request& request) {
  return memo.packed == request.packed && memo.key == request.key && memo.is_timer == request.is_timer &&
         memo.ending == request.ending;
}

// Or will have, for all that is known.
bool CallMemos::HasStateOf(const Memo& memo, const Request& request) const {
  if (stages_[request.stage].mode == HandlerMode::kStateless) return true;
  if (!unapplied_.empty()) {
    const auto last = unapplied_.find(KeyOfStage(request.stage, request.key));
    if (last != unapplied_.end()) return memo.before == last->second && last->second != kNotAsked;
  }
  return !memo.state.has_value() || *memo.state == request.state;
}

const CallOutcome* CallMemos::Ask(const Request& request) {
  const Id id(request.stage, request.offset.value(), request.record, request.nth);
  const auto found = memos_.find(id);
  if (found == memos_.end() || !IsFor(*found->second, request) || !HasStateOf(*found->second, request)) {
    Drop(id);
    cut_ = ahead_ = true;
    AskAnew(id, request);
    return nullptr;
  }
  const Memo& memo = *found->second;
  if (!memo.answered || ahead_) {
    cut_ = ahead_ = true;
    const bool leaves_state = !memo.answered || memo.outcome.kind == CallOutcome::Kind::kDone;
    unapplied_[KeyOfStage(request.stage, request.key)] = leaves_state ? memo.serial : kNotAsked;
    return nullptr;
  }
  return memo.outcome.kind == CallOutcome::Kind::kDone ? &memo.outcome : TellFailure(id, request);
}

// What becomes of a record that fails is known; of one whose handler was lost it depends on what is written down.
const CallOutcome* CallMemos::TellFailure(const Id& id, const Request& request) {
  cut_ = true;
  failed_.push_back(std::move(memos_.at(id)));
  const CallOutcome& outcome = failed_.back()->outcome;
  id_of_serial_.erase(failed_.back()->serial);
  memos_.erase(id);
  const bool lost = outcome.kind == CallOutcome::Kind::kLost;
  failures_.push_back({request.stage, request.offset, request.record, lost, outcome.why});
  if (!lost) return &outcome;
  lost_.insert(id);
  ahead_ = true;
  unapplied_[KeyOfStage(request.stage, request.key)] = kNotAsked;
  return nullptr;
}

void CallMemos::AskAnew(const Id& id, const Request& request) {
  const auto [last, is_first] = unapplied_.try_emplace(KeyOfStage(request.stage, request.key), kNotAsked);
  const bool builds_on_nothing_asked = !is_first && last->second == kNotAsked;
  if (builds_on_nothing_asked || outstanding_ >= kMaxCallsAsked) {
    last->second = kNotAsked;
    return;
  }
  auto memo = std::make_unique<Memo>();
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
  call.suspect = lost_.contains(id);
  call.key = memo->key;
  call.packed = memo->packed;
  if (is_first || stages_[request.stage].mode == HandlerMode::kStateless) {
    memo->state = std::string(request.state);
  } else {
    memo->before = last->second;
    memo->state = StateBehind(MemoOf(memo->before));
  }
  if (memo->state.has_value()) {
    call.state = std::string(PackedState(*memo->state));
  } else {
    call.after = memo->before;
  }
  last->second = memo->serial;
  id_of_serial_[memo->serial] = id;
  memos_[id] = std::move(memo);
  ++outstanding_;
  asked_.emplace_back(request.stage, std::move(call));
}

void CallMemos::Drop(const Id& id) {
  const auto found = memos_.find(id);
  if (found == memos_.end()) return;
  if (!found->second->answered) --outstanding_;
  id_of_serial_.erase(found->second->serial);
  memos_.erase(found);
}

const CallMemos::Memo* CallMemos::MemoOf(uint64_t serial) const {
  const auto id = id_of_serial_.find(serial);
  return id == id_of_serial_.end() ? nullptr : memos_.at(id->second).get();
}

// What it leaves; nullopt: that is not known, or it counts for nothing any more.
std::optional<std::string> CallMemos::StateBehind(const Memo* memo) {
  if (memo == nullptr || !memo->answered || memo->outcome.kind != CallOutcome::Kind::kDone)
    return std::nullopt;
  const std::string_view left = memo->outcome.state.value_or(PackedState(*memo->state));
  return std::string(left == kNoPackedState ? std::string_view() : left);
}

void CallMemos::Finish() {
  memos_.clear();
  id_of_serial_.clear();
  lost_.clear();
  asked_.clear();
  failed_.clear();
  failures_.clear();
  outstanding_ = 0;
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
  const auto found = id_of_serial_.find(answer.serial);
  if (found == id_of_serial_.end()) return;  // nobody waits for it any more
  const Id id = found->second;
  Memo& memo = *memos_.at(id);
  if (memo.answered) return;
  if (!memo.state.has_value()) memo.state = StateBehind(MemoOf(memo.before));
  // Not run, or on what counts for nothing.
  if (answer.outcome.kind == CallOutcome::Kind::kVoid || !memo.state.has_value()) return Drop(id);
  memo.answered = true;
  memo.outcome = std::move(answer.outcome);
  --outstanding_;
}

}  // namespace millrace
