// Questions about state, from command lines: taken in on a thread of the bus, answered by the lane that has it.
#include <utility>

#include "common/log.h"
#include "common/names.h"
#include "worker/lane/state_query.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {

absl::Status WorkerRuntime::ServeQueries() {
  if (served_incarnation_ == membership_->incarnation()) return absl::OkStatus();
  // Anybody may ask: who finds no place hears nothing, and asks again.
  const auto enqueue = [this](Bus::Incoming query) {
    Places::Place place = question_places_.Take();
    if (place == nullptr) return;
    inbox_.Send(Question{std::move(query), std::move(place)});
    manager_bus_->Wake();
  };
  if (absl::Status status = StopServing(); !status.ok()) return status;
  if (absl::Status status = manager_bus_->Serve(WorkerSubject(membership_->incarnation()), enqueue);
      !status.ok())
    return status;
  served_incarnation_ = membership_->incarnation();
  return absl::OkStatus();
}

absl::Status WorkerRuntime::StopServing() {
  const std::string incarnation = std::exchange(served_incarnation_, "");
  return incarnation.empty() ? absl::OkStatus() : manager_bus_->Serve(WorkerSubject(incarnation), nullptr);
}

void WorkerRuntime::RouteQuery(const Question& question) {
  const Bus::Incoming& query = question.query;
  const auto answer = [this, to = query.reply_to, place = question.place](const std::string& text) {
    if (absl::Status status = manager_bus_->Reply(to, text); !status.ok())
      LogWarning("an answer was not sent", {{"why", status}});
  };
  absl::StatusOr<StateQueryTarget> target = ParseStateQueryTarget(query.payload);
  if (!target.ok()) return answer(RefuseStateQuery(target.status()));
  for (const auto& [key, hosted] : hosted_) {
    if (key.uid != target->uid || key.segment != target->segment || key.partition != target->partition ||
        hosted.phase != Hosted::Phase::kRunning)
      continue;
    lanes_[LaneOf(hosted.instance)]->Send(StateQuery{hosted.instance, query.payload, answer});
    return;
  }
  answer(RefuseStateQuery(absl::UnavailableError("this worker does not own the partition now: ask again")));
}

}  // namespace millrace
