#include "common/handler/call_queue.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "common/check.h"
#include "common/strings.h"

namespace millrace {
namespace {

size_t BytesOf(const HandlerCall& call) {
  return call.packed.size() + call.key.size() + (call.state.has_value() ? call.state->size() : 0);
}

CallOutcome VoidOutcome() {
  CallOutcome outcome;
  outcome.kind = CallOutcome::Kind::kVoid;
  return outcome;
}

}  // namespace

// The calls of one key, in order: those that are out or suspected stand before those that wait.
struct CallQueue::Line {
  Key key;
  std::deque<std::unique_ptr<Task>> waiting;
  size_t busy = 0;  // out, or suspected
  bool ready = false;
  bool dropped = false;  // nobody waits for answers
  uint64_t last = 0;     // the serial of the last call that came
  std::string state;     // packed: what the last call that went well left
};

CallQueue::Rules CallQueue::RulesFor(const HandlerStage& stage) {
  const bool is_keyed = stage.mode == HandlerMode::kKeyed;
  return {.by_key = is_keyed || stage.ordered != CallOrder::kNone,
          .builds_state = is_keyed,
          .failure_ends = !stage.is_ours()};
}

CallQueue::CallQueue() = default;
CallQueue::CallQueue(Rules rules) : rules_(rules) {}
CallQueue::~CallQueue() = default;

CallQueue::Key CallQueue::KeyOf(const HandlerCall& call) const {
  return {call.asker, rules_.by_key ? call.key : StrCat(call.serial)};
}

CallQueue::Line& CallQueue::LineOf(const HandlerCall& call) {
  std::unique_ptr<Line>& line = lines_[KeyOf(call)];
  if (line == nullptr) {
    line = std::make_unique<Line>();
    line->key = KeyOf(call);
    line->state.assign(kNoPackedState);
  }
  return *line;
}

void CallQueue::Add(HandlerCall call, std::vector<CallAnswer>* answers) {
  const auto known = lines_.find(KeyOf(call));
  if (!call.state.has_value() && (known == lines_.end() || known->second->last != call.after)) {
    answers->push_back({call.asker, call.serial, VoidOutcome()});
    return;
  }
  Line& line = LineOf(call);
  line.last = call.serial;
  auto task = std::make_unique<Task>();
  task->suspect = call.suspect;
  task->call = std::move(call);
  task->line = &line;
  line.waiting.push_back(std::move(task));
  ++waiting_;
  MakeReady(line);
}

void CallQueue::MakeReady(Line& line) {
  if (line.ready || line.busy > 0 || line.waiting.empty()) return;
  if (line.waiting.front()->suspect) {  // it goes out alone again
    Tasks group;
    group.push_back(std::move(line.waiting.front()));
    line.waiting.pop_front();
    Hold(std::move(group), suspects_.size());
    return;
  }
  line.ready = true;
  ready_.push_back(&line);
}

void CallQueue::Hold(Tasks group, size_t at) {
  for (const auto& task : group) {
    task->suspect = true;
    ++task->line->busy;
  }
  suspects_.insert(suspects_.begin() + static_cast<ptrdiff_t>(at), std::move(group));
}

// A group's keys may be out, or suspected in a group before it: those calls come first.
size_t CallQueue::NextSuspects() const {
  absl::flat_hash_map<const Line*, size_t> suspected;
  for (const Tasks& group : suspects_) {
    for (const auto& task : group) ++suspected[task->line];
  }
  absl::flat_hash_set<const Line*> before;
  for (size_t at = 0; at < suspects_.size(); ++at) {
    const bool may_go = std::all_of(suspects_[at].begin(), suspects_[at].end(), [&](const auto& task) {
      return !before.contains(task->line) && task->line->busy == suspected[task->line];
    });
    if (may_go) return at;
    for (const auto& task : suspects_[at]) before.insert(task->line);
  }
  return suspects_.size();
}

CallQueue::Batch CallQueue::Next(const Limits& limits, bool idle) {
  Batch batch;
  const size_t at = suspects_.empty() ? 0 : NextSuspects();
  if (at < suspects_.size()) {
    batch.suspects = true;
    if (!idle) return batch;
    batch.tasks = std::move(suspects_[at]);
    suspects_.erase(suspects_.begin() + static_cast<ptrdiff_t>(at));
  } else {
    batch.tasks = TakeReady(limits);
  }
  waiting_ -= batch.tasks.size();
  for (const auto& task : batch.tasks) {
    ++task->handed_out;
    if (task->call.state.has_value()) task->line->state = *std::exchange(task->call.state, std::nullopt);
  }
  return batch;
}

// The key with most to do, so that it is not alone at the end with others idle.
void CallQueue::BringLongestToFront() {
  const auto end = ready_.begin() + static_cast<ptrdiff_t>(std::min(ready_.size(), kLinesCompared));
  const auto longest = std::max_element(ready_.begin(), end, [](const Line* a, const Line* b) {
    return a->waiting.size() < b->waiting.size();
  });
  if (longest != end) std::rotate(ready_.begin(), longest, longest + 1);
}

// Every other batch begins with the line that has waited longest, so that none is left behind.
CallQueue::Tasks CallQueue::TakeReady(const Limits& limits) {
  Tasks batch;
  size_t bytes = 0;
  if (std::exchange(longest_next_, !longest_next_)) BringLongestToFront();
  while (!ready_.empty() && batch.size() < limits.calls && bytes < limits.bytes) {
    Line& line = *ready_.front();
    // The end of the input is the whole batch's.
    if (!batch.empty() && batch.front()->call.ending != line.waiting.front()->call.ending) break;
    ready_.pop_front();
    line.ready = false;
    TakeLine(line, limits, &batch, &bytes);
  }
  return batch;
}

// The first of its calls, and those behind it that build on what it leaves.
void CallQueue::TakeLine(Line& line, const Limits& limits, Tasks* batch, size_t* bytes) {
  const bool ending = line.waiting.front()->call.ending;
  bool first = true;
  while (!line.waiting.empty() && batch->size() < limits.calls && *bytes < limits.bytes) {
    const Task& next = *line.waiting.front();
    const bool begins_anew = rules_.builds_state && next.call.state.has_value();
    if (!first && (begins_anew || next.suspect || next.call.ending != ending)) return;
    *bytes += BytesOf(next.call) + (first && !next.call.state.has_value() ? line.state.size() : 0);
    batch->push_back(std::move(line.waiting.front()));
    line.waiting.pop_front();
    ++line.busy;
    first = false;
  }
}

std::vector<BatchCall> CallQueue::CallsOf(const Tasks& tasks) {
  std::vector<BatchCall> calls;
  calls.reserve(tasks.size());
  for (const auto& task : tasks) calls.push_back({&task->call, task->line->state, task->line});
  return calls;
}

void CallQueue::Answer(const Task& task, CallOutcome outcome, std::vector<CallAnswer>* answers) {
  if (!task.line->dropped) answers->push_back({task.call.asker, task.call.serial, std::move(outcome)});
}

// Those behind a call that failed which build on what it would have left.
void CallQueue::VoidFollowers(Line& line, std::vector<CallAnswer>* answers) {
  for (Tasks& group : suspects_) {
    std::erase_if(group, [&](const std::unique_ptr<Task>& task) {
      if (task->line != &line || task->call.state.has_value()) return false;
      --line.busy;
      --waiting_;
      Answer(*task, VoidOutcome(), answers);
      return true;
    });
  }
  std::erase_if(suspects_, [](const Tasks& group) { return group.empty(); });
  while (!line.waiting.empty() && !line.waiting.front()->call.state.has_value()) {
    Answer(*line.waiting.front(), VoidOutcome(), answers);
    line.waiting.pop_front();
    --waiting_;
  }
}

void CallQueue::ComeBack(const std::vector<Line*>& lines) {
  for (Line* const line : lines) {
    MILLRACE_CHECK(line->busy > 0);
    --line->busy;
  }
  absl::flat_hash_set<const Line*> seen;
  for (Line* const line : lines) {
    if (!seen.insert(line).second) continue;
    MakeReady(*line);
    if (line->busy > 0 || line->ready || !line->waiting.empty()) continue;
    if (line->dropped) {
      std::erase_if(dropped_, [&](const auto& dropped) { return dropped.get() == line; });
    } else {
      const Key key = line->key;
      lines_.erase(key);
    }
  }
}

void CallQueue::Accept(Tasks tasks, JudgedResult result, std::vector<CallAnswer>* answers) {
  MILLRACE_CHECK(result.calls.size() == tasks.size());
  std::vector<Line*> lines;
  absl::flat_hash_set<const Line*> failed;
  Tasks again;
  for (size_t i = 0; i < tasks.size(); ++i) {
    Line& line = *tasks[i]->line;
    lines.push_back(&line);
    CallOutcome& outcome = result.calls[i];
    const bool has_failed = rules_.failure_ends && outcome.kind == CallOutcome::Kind::kFailed;
    if (outcome.kind == CallOutcome::Kind::kDone && outcome.state.has_value())
      line.state.assign(*outcome.state);
    if (i >= result.done && !failed.contains(&line)) {
      again.push_back(std::move(tasks[i]));
    } else {
      Answer(*tasks[i], std::move(outcome), answers);
    }
    if (has_failed) failed.insert(&line);
  }
  for (Line* const line : lines) {
    if (failed.erase(line) > 0) VoidFollowers(*line, answers);
  }
  PutBack(std::move(again));
  ComeBack(lines);
}

// In front of those that wait, in their order. Suspects stay suspects.
void CallQueue::PutBack(Tasks tasks) {
  std::erase_if(tasks, [](const auto& task) { return task->line->dropped; });
  if (tasks.empty()) return;
  waiting_ += tasks.size();
  if (tasks.front()->suspect) return Hold(std::move(tasks), 0);
  for (auto task = tasks.rbegin(); task != tasks.rend(); ++task) {
    Line& line = *(*task)->line;
    line.waiting.push_front(std::move(*task));
  }
}

void CallQueue::Suspect(Tasks tasks) {
  waiting_ += tasks.size();
  const size_t size = (tasks.size() + kSuspectParts - 1) / kSuspectParts;
  for (size_t part = 0; part * size < tasks.size(); ++part) {
    const auto begin = tasks.begin() + static_cast<ptrdiff_t>(part * size);
    const auto end = tasks.begin() + static_cast<ptrdiff_t>(std::min((part + 1) * size, tasks.size()));
    Hold(Tasks(std::make_move_iterator(begin), std::make_move_iterator(end)), part);
  }
}

void CallQueue::Lose(Tasks tasks, const Loss& loss, std::vector<CallAnswer>* answers) {
  std::vector<Line*> lines;
  for (const auto& task : tasks) lines.push_back(task->line);
  std::erase_if(tasks, [](const auto& task) { return task->line->dropped; });
  bool counts = loss.begun;
  if (!loss.begun) {
    for (const auto& task : tasks) counts |= ++task->unbegun_losses >= kMaxUnbegunLosses;
  }
  if (counts) {
    for (const auto& task : tasks) task->unbegun_losses = 0;
  }
  if (!counts) {
    PutBack(std::move(tasks));
  } else if (tasks.size() == 1 && loss.alone && tasks.front()->suspect) {
    CallOutcome lost;
    lost.kind = CallOutcome::Kind::kLost;
    lost.why = loss.why;
    Answer(*tasks.front(), std::move(lost), answers);
    VoidFollowers(*tasks.front()->line, answers);
  } else if (!tasks.empty()) {
    Suspect(std::move(tasks));
  }
  ComeBack(lines);
}

void CallQueue::DropAsker(uint64_t asker) {
  for (Tasks& group : suspects_) {
    const size_t before = group.size();
    std::erase_if(group, [&](const auto& task) {
      if (task->call.asker == asker) --task->line->busy;
      return task->call.asker == asker;
    });
    waiting_ -= before - group.size();
  }
  std::erase_if(suspects_, [](const Tasks& group) { return group.empty(); });
  std::erase_if(ready_, [&](const Line* line) { return line->key.first == asker; });
  // Who asks under this number from now on has lines of its own.
  absl::erase_if(lines_, [&](auto& entry) {
    Line& line = *entry.second;
    if (line.key.first != asker) return false;
    waiting_ -= line.waiting.size();
    line.waiting.clear();
    line.ready = false;
    line.dropped = true;
    if (line.busy > 0) dropped_.push_back(std::move(entry.second));
    return true;
  });
}

}  // namespace millrace
