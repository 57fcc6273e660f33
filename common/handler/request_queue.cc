#include "common/handler/request_queue.h"

#include <algorithm>
#include <deque>
#include <list>

#include "common/handler/protocol.h"
#include "common/handler/request_batch.h"
#include "common/http/http_verdict.h"
#include "common/strings.h"

namespace millrace {
namespace {

CallAnswer FailedAnswer(const HandlerCall& call, std::string_view why) {
  CallAnswer answer{call.asker, call.serial, {}};
  answer.outcome.kind = CallOutcome::Kind::kFailed;
  answer.outcome.why = std::string(Shorten(why, kMaxWhyBytes));
  return answer;
}

CallAnswer AnswerTo(const HandlerCall& call, absl::StatusOr<std::string> packed) {
  if (!packed.ok()) return FailedAnswer(call, ToStd(packed.status().message()));
  return {call.asker, call.serial, OutcomeOfHttpAnswer(*std::move(packed))};
}

// Full jitter: the whole pause is left to chance, so that those who failed together do not come back together.
absl::Duration PauseBefore(int next_try, const BackoffSpec& backoff, double share) {
  absl::Duration longest = backoff.initial;
  for (int i = 1; i < next_try && longest < backoff.maximum; ++i) longest *= 2;
  return std::min(longest, backoff.maximum) * share;
}

}  // namespace

struct RequestQueue::Task {
  HandlerCall call;
  HttpCallRequest request;
  size_t most = 1;  // calls in a request, with it
  Line* line = nullptr;
};

// Calls that go out in their order: those of a key, or one alone.
struct RequestQueue::Line {
  Key key;
  std::deque<std::unique_ptr<Task>> waiting;
  bool is_out = false;                    // calls before those are not done with
  Group* group = nullptr;                 // where it stands: it has calls that wait, and none that are out
  std::list<Line*>::iterator place = {};  // there
  size_t ready = 0;                       // so many of them, from the first, may go in one request
  absl::Duration since;
};

// What may go in one request.
struct RequestQueue::Group {
  GroupKey key;
  std::list<Line*> lines;  // by `since`
  size_t ready = 0;        // calls
  absl::Duration at = absl::InfiniteDuration();
};

// A request that is out, or is to be repeated.
struct RequestQueue::Sending {
  Id id = 0;
  std::vector<std::unique_ptr<Task>> tasks;  // null: nobody waits for it any more
  std::vector<Line*> lines;
  HttpCallRequest request;
  std::string digest;
  int tries = 0;
  bool is_out = false;
  absl::Duration repeat_at;

  size_t calls() const {
    return static_cast<size_t>(
        std::count_if(tasks.begin(), tasks.end(), [](const auto& task) { return task != nullptr; }));
  }
};

RequestQueue::RequestQueue(std::shared_ptr<const CallStage> stage) : stage_(std::move(stage)) {}
RequestQueue::~RequestQueue() = default;

void RequestQueue::Add(HandlerCall call, absl::Duration now, std::vector<CallAnswer>* answers) {
  absl::StatusOr<HttpCallRequest> request = UnpackHttpRequest(call.packed);
  if (!request.ok()) {
    answers->push_back(FailedAnswer(call, ToStd(request.status().message())));
    return;
  }
  auto task = std::make_unique<Task>();
  task->call = std::move(call);
  task->request = *std::move(request);
  task->most = usual_size();
  AddToLine(std::move(task), now);
}

// Who goes alone goes with everybody who does, whatever the URL.
RequestQueue::GroupKey RequestQueue::GroupOf(const Task& task) {
  return {task.most, task.most == 1 ? std::string() : task.request.url};
}

void RequestQueue::AddToLine(std::unique_ptr<Task> task, absl::Duration now) {
  const Key key(task->call.asker, stage_->by_key ? task->call.key : StrCat(task->call.serial));
  std::unique_ptr<Line>& found = lines_[key];
  if (found == nullptr) {
    found = std::make_unique<Line>();
    found->key = key;
  }
  Line& line = *found;
  task->line = &line;
  line.waiting.push_back(std::move(task));
  ++waiting_;
  if (line.is_out) return;
  if (line.group == nullptr) return Enrol(line, now);
  const bool all_before = line.ready + 1 == line.waiting.size() && line.ready < line.group->key.first;
  if (!all_before || GroupOf(*line.waiting.back()) != line.group->key) return;
  ++line.ready;
  ++line.group->ready;
  Schedule(*line.group);
}

// REQUIRES: it has calls, and is in no group.
void RequestQueue::Enrol(Line& line, absl::Duration now) {
  const GroupKey key = GroupOf(*line.waiting.front());
  std::unique_ptr<Group>& group = groups_[key];
  if (group == nullptr) {
    group = std::make_unique<Group>();
    group->key = key;
  }
  line.ready = 0;
  while (line.ready < std::min(key.first, line.waiting.size()) && GroupOf(*line.waiting[line.ready]) == key) {
    ++line.ready;
  }
  line.group = group.get();
  line.since = now;
  line.place = group->lines.insert(group->lines.end(), &line);
  group->ready += line.ready;
  Schedule(*group);
}

void RequestQueue::Withdraw(Line& line) {
  Group& group = *std::exchange(line.group, nullptr);
  group.lines.erase(line.place);
  group.ready -= line.ready;
  Schedule(group);
}

// When the group may go. One without lines is gone.
void RequestQueue::Schedule(Group& group) {
  gathering_.erase({group.at, group.key});
  if (group.lines.empty()) {
    groups_.erase(GroupKey(group.key));
    return;
  }
  const bool is_full = group.ready >= group.key.first;
  const absl::Duration linger = is_full ? absl::ZeroDuration() : stage_->batch->linger;
  group.at = group.lines.front()->since + linger;
  gathering_[{group.at, group.key}] = &group;
}

std::vector<RequestQueue::Id> RequestQueue::DropAsker(uint64_t asker) {
  std::vector<Id> forgotten;
  for (const auto& [id, sending] : sendings_) {
    for (std::unique_ptr<Task>& task : sending->tasks) {
      if (task != nullptr && task->call.asker == asker) task = nullptr;
    }
    std::erase_if(sending->lines, [&](const Line* line) { return line->key.first == asker; });
    if (sending->calls() == 0) forgotten.push_back(id);
  }
  std::vector<Id> out;
  for (const Id id : forgotten) {
    const Sending& sending = *sendings_.at(id);
    if (sending.is_out) out.push_back(id);
    repeats_.erase({sending.repeat_at, id});
    sendings_.erase(id);
  }
  absl::erase_if(lines_, [&](const auto& entry) {
    Line& line = *entry.second;
    if (line.key.first != asker) return false;
    if (line.group != nullptr) Withdraw(line);
    waiting_ -= line.waiting.size();
    return true;
  });
  out_ -= out.size();
  return out;
}

std::optional<RequestQueue::Out> RequestQueue::Next(absl::Duration now) {
  if (next_at() > now) return std::nullopt;
  const bool repeats = !repeats_.empty() && (gathering_.empty() || repeats_.begin()->first.first <=
                                                                       gathering_.begin()->first.first);
  Sending& sending = repeats ? *repeats_.begin()->second : Gather(*gathering_.begin()->second);
  if (repeats) repeats_.erase(repeats_.begin());
  return SendOut(sending);
}

absl::Duration RequestQueue::next_at() const {
  if (out_ >= stage_->concurrency) return absl::InfiniteDuration();
  const absl::Duration repeat = repeats_.empty() ? absl::InfiniteDuration() : repeats_.begin()->first.first;
  const absl::Duration fresh =
      gathering_.empty() ? absl::InfiniteDuration() : gathering_.begin()->first.first;
  return std::min(repeat, fresh);
}

RequestQueue::Sending& RequestQueue::Gather(Group& group) {
  std::unique_ptr<Sending>& sending = sendings_[++last_id_];
  sending = std::make_unique<Sending>();
  sending->id = last_id_;
  const size_t most = group.key.first;
  size_t bytes = 0;
  for (bool is_last = false; !is_last;) {
    Line& line = *group.lines.front();
    is_last = group.lines.size() == 1;
    TakeFrom(line, most, sending.get(), &bytes);
    is_last |= !line.is_out || sending->tasks.size() == most;
    if (line.is_out) Withdraw(line);
  }
  return *sending;
}

// The first of those that may go, as long as there is room.
void RequestQueue::TakeFrom(Line& line, size_t most, Sending* sending, size_t* bytes) {
  for (size_t left = line.ready; left > 0 && sending->tasks.size() < most; --left) {
    *bytes += line.waiting.front()->request.body.size();
    if (!sending->tasks.empty() && *bytes > kMaxBatchRequestBytes) return;
    sending->tasks.push_back(std::move(line.waiting.front()));
    line.waiting.pop_front();
    --waiting_;
    if (!std::exchange(line.is_out, true)) sending->lines.push_back(&line);
  }
}

void RequestQueue::Build(Sending& sending) const {
  std::vector<const HttpCallRequest*> records;
  for (const auto& task : sending.tasks) records.push_back(&task->request);
  sending.request = stage_->batch.has_value() ? JoinRequests(records) : *records.front();
  sending.digest = RequestId(records);
}

RequestQueue::Out RequestQueue::SendOut(Sending& sending) {
  if (sending.tries == 0 || std::erase(sending.tasks, nullptr) > 0) Build(sending);
  sending.is_out = true;
  ++sending.tries;
  ++out_;
  ++counts_.requests;
  counts_.records += sending.tasks.size();
  return {sending.id, &sending.request, sending.digest, sending.tasks.size()};
}

void RequestQueue::Take(Id id, const absl::StatusOr<HttpAnswer>& answer, const Chance& chance,
                        std::vector<CallAnswer>* answers) {
  const auto found = sendings_.find(id);
  if (found == sendings_.end() || !found->second->is_out) return;
  Sending& sending = *found->second;
  sending.is_out = false;
  --out_;
  const HttpVerdict verdict = answer.ok() ? JudgeHttpCode(answer->code) : JudgeHttpError(answer.status());
  if (verdict == HttpVerdict::kAgain && sending.tries < stage_->retry.attempts) {
    const absl::Duration pause = PauseBefore(sending.tries, stage_->retry.backoff, chance.share);
    const absl::Duration asked =
        answer.ok() ? RetryAfter(*answer, chance.date).value_or(absl::ZeroDuration()) : absl::ZeroDuration();
    sending.repeat_at = chance.now + std::max(pause, asked);
    repeats_[{sending.repeat_at, id}] = &sending;
    ++counts_.retries;
    return;
  }
  std::string why;
  if (verdict == HttpVerdict::kTaken) {
    const absl::Status answered = AnswerAll(sending, *answer, answers);
    if (answered.ok()) return Finish(sending, chance.now);
    why = ToStd(answered.message());
  } else {
    why = answer.ok() ? HttpAnswerText(*answer) : std::string(answer.status().message());
    if (verdict == HttpVerdict::kAgain) StrAppend(&why, " (", sending.tries, " times)");
  }
  if (sending.tasks.size() > 1) {
    Divide(sending);
    ++counts_.divided;
  } else {
    ++counts_.failures;
    answers->push_back(FailedAnswer(sending.tasks.front()->call, why));
  }
  Finish(sending, chance.now);
}

absl::Status RequestQueue::AnswerAll(const Sending& sending, const HttpAnswer& answer,
                                     std::vector<CallAnswer>* answers) {
  std::vector<absl::StatusOr<std::string>> packed;
  if (stage_->batch.has_value()) {
    absl::StatusOr<std::vector<absl::StatusOr<std::string>>> split =
        SplitAnswer(answer, sending.tasks.size());
    if (!split.ok()) return split.status();
    packed = *std::move(split);
  } else {
    packed.push_back(PackHttpAnswer(answer));
  }
  for (size_t i = 0; i < sending.tasks.size(); ++i) {
    if (sending.tasks[i] == nullptr) continue;
    counts_.failures += packed[i].ok() ? 0 : 1;
    answers->push_back(AnswerTo(sending.tasks[i]->call, std::move(packed[i])));
  }
  return absl::OkStatus();
}

// Its calls stand in front of their lines again, and go out in smaller requests.
void RequestQueue::Divide(Sending& sending) {
  std::erase(sending.tasks, nullptr);
  const size_t most = (sending.tasks.size() + kBatchParts - 1) / kBatchParts;
  waiting_ += sending.tasks.size();
  for (auto task = sending.tasks.rbegin(); task != sending.tasks.rend(); ++task) {
    Line& line = *(*task)->line;
    (*task)->most = most;
    line.waiting.push_front(std::move(*task));
  }
}

// It is forgotten, and what stands behind its calls may go. REQUIRES: it is not out.
void RequestQueue::Finish(Sending& sending, absl::Duration now) {
  const std::vector<Line*> lines = std::move(sending.lines);
  repeats_.erase({sending.repeat_at, sending.id});
  sendings_.erase(Id(sending.id));
  for (Line* const line : lines) {
    line->is_out = false;
    if (line->waiting.empty()) {
      lines_.erase(Key(line->key));
    } else {
      Enrol(*line, now);
    }
  }
}

}  // namespace millrace
