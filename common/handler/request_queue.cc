#include "common/handler/request_queue.h"

#include <algorithm>

#include "common/handler/protocol.h"
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

// Full jitter: the whole pause is left to chance, so that those who failed together do not come back together.
absl::Duration PauseBefore(int next_try, const BackoffSpec& backoff, double share) {
  absl::Duration longest = backoff.initial;
  for (int i = 1; i < next_try && longest < backoff.maximum; ++i) longest *= 2;
  return std::min(longest, backoff.maximum) * share;
}

}  // namespace

void RequestQueue::Add(HandlerCall call, std::vector<CallAnswer>* answers) {
  absl::StatusOr<HttpCallRequest> request = UnpackHttpRequest(call.packed);
  if (!request.ok()) {
    answers->push_back(FailedAnswer(call, ToStd(request.status().message())));
    return;
  }
  auto task = std::make_unique<Task>();
  task->id = ++last_id_;
  task->call = std::move(call);
  task->request = *std::move(request);
  const Id id = task->id;
  bool is_first = true;
  if (stage_->by_key) {
    std::deque<Id>& line = lines_[Key(task->call.asker, task->call.key)];
    is_first = line.empty();
    line.push_back(id);
  }
  tasks_[id] = std::move(task);
  if (is_first) MakeReady(id, -absl::InfiniteDuration());
}

void RequestQueue::MakeReady(Id id, absl::Duration at) { ready_[{at, id}] = id; }

std::vector<RequestQueue::Id> RequestQueue::DropAsker(uint64_t asker) {
  std::vector<Id> out;
  for (const auto& [id, task] : tasks_) {
    if (task->call.asker == asker && task->is_out) out.push_back(id);
  }
  out_ -= out.size();
  std::erase_if(ready_, [&](const auto& entry) { return tasks_.at(entry.second)->call.asker == asker; });
  absl::erase_if(lines_, [&](const auto& line) { return line.first.first == asker; });
  absl::erase_if(tasks_, [&](const auto& entry) { return entry.second->call.asker == asker; });
  return out;
}

std::optional<RequestQueue::Out> RequestQueue::Next(absl::Duration now) {
  if (ready_.empty() || ready_.begin()->first.first > now || out_ >= stage_->concurrency) return std::nullopt;
  Task& task = *tasks_.at(ready_.begin()->second);
  ready_.erase(ready_.begin());
  task.is_out = true;
  ++task.tries;
  ++out_;
  return Out{task.id, &task.request};
}

absl::Duration RequestQueue::next_at() const {
  return ready_.empty() || out_ >= stage_->concurrency ? absl::InfiniteDuration()
                                                       : ready_.begin()->first.first;
}

void RequestQueue::Take(Id id, const absl::StatusOr<HttpAnswer>& answer, const Chance& chance,
                        std::vector<CallAnswer>* answers) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end() || !found->second->is_out) return;
  Task& task = *found->second;
  task.is_out = false;
  --out_;
  const HttpVerdict verdict = answer.ok() ? JudgeHttpCode(answer->code) : JudgeHttpError(answer.status());
  if (verdict == HttpVerdict::kAgain && task.tries < stage_->retry.attempts) {
    const absl::Duration pause = PauseBefore(task.tries, stage_->retry.backoff, chance.share);
    const absl::Duration asked =
        answer.ok() ? RetryAfter(*answer, chance.date).value_or(absl::ZeroDuration()) : absl::ZeroDuration();
    MakeReady(id, chance.now + std::max(pause, asked));
    return;
  }
  if (verdict == HttpVerdict::kTaken) {
    absl::StatusOr<std::string> packed = PackHttpAnswer(*answer);
    answers->push_back(
        packed.ok() ? CallAnswer{task.call.asker, task.call.serial, OutcomeOfHttpAnswer(*std::move(packed))}
                    : FailedAnswer(task.call, ToStd(packed.status().message())));
  } else {
    std::string why = answer.ok() ? HttpAnswerText(*answer) : std::string(answer.status().message());
    if (verdict == HttpVerdict::kAgain) StrAppend(&why, " (", task.tries, " times)");
    answers->push_back(FailedAnswer(task.call, why));
  }
  Finish(task);
}

void RequestQueue::Finish(Task& task) {
  const Id id = task.id;
  const auto line = lines_.find(Key(task.call.asker, task.call.key));
  if (line != lines_.end() && line->second.front() == id) {
    line->second.pop_front();
    if (line->second.empty()) {
      lines_.erase(line);
    } else {
      MakeReady(line->second.front(), -absl::InfiniteDuration());
    }
  }
  tasks_.erase(id);
}

}  // namespace millrace
