#include "coordinator/local/local_handlers.h"

#include <unistd.h>

#include <utility>

#include "common/handler/call_request.h"
#include "common/handler/handler_server.h"
#include "common/handler/handler_stages.h"
#include "common/handler/http_calls.h"
#include "common/strings.h"

namespace millrace {
namespace {

// Of one server, while another may have news. How long calls seem to take grows with it, and batches shrink.
constexpr absl::Duration kTurn = absl::Milliseconds(1);

}  // namespace

LocalHandlers::LocalHandlers(Options options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

LocalHandlers::~LocalHandlers() {
  for (auto& [endpoint, server] : servers_) {
    server->Stop();
    server->Run();  // to its end: the bye
  }
}

std::unique_ptr<CallMemos> LocalHandlers::MakeMemos(const JobSpec& job, const std::string& uid,
                                                    const AnswerSource* answers) {
  std::vector<HandlerStage> stages = HandlerStagesOf(job, uid);
  if (stages.empty()) return nullptr;
  for (const HandlerStage& stage : stages) {
    if (!stage.is_recorded() || answers == nullptr) ServerOf(stage);
  }
  return std::make_unique<CallMemos>(++askers_, std::move(stages));
}

CallServer& LocalHandlers::ServerOf(const HandlerStage& stage) {
  std::unique_ptr<CallServer>& server = servers_[stage.endpoint];
  if (server == nullptr) {
    const auto deliver = [this](uint64_t, std::vector<CallAnswer> answers) {
      if (awaited_ == nullptr) return;
      for (CallAnswer& answer : answers) awaited_->Take(std::move(answer));
    };
    if (stage.http != nullptr) {
      server = std::make_unique<HttpCalls>(HttpCalls::Options{stage, servers_.size()}, clock_, deliver);
      return *server;
    }
    const std::string life =
        StrCat(options_.name, "-", getpid(), "-", absl::ToUnixMicros(clock_.Now()), "-", servers_.size());
    server =
        std::make_unique<HandlerServer>(HandlerPool::Options{stage, options_.name, life}, clock_, deliver);
  }
  return *server;
}

// A run comes to calls that the worker's has never made, where it goes on behind one without an answer: what has none is
// asked for again, as long as others do.
absl::Status LocalHandlers::Ask(CallMemos& memos, AnswerSource* answers) {
  bool gets_on = false;
  std::vector<CallAnswer> found, missing;
  for (auto& [stage, calls] : memos.TakeAsked()) {
    const HandlerStage& of = memos.stages()[stage];
    if (!of.is_recorded() || answers == nullptr) {
      gets_on = true;
      ServerOf(of).Ask(std::move(calls));
      continue;
    }
    for (const HandlerCall& call : calls) {
      const auto answer = answers->Find(of.name, call);
      if (!answer.ok()) return answer.status();
      if (*answer != nullptr) {
        found.push_back({call.asker, call.serial, OutcomeOfHttpAnswer(**answer)});
      } else {
        CallAnswer& none = missing.emplace_back(CallAnswer{call.asker, call.serial, {}});
        none.outcome.kind = CallOutcome::Kind::kVoid;
      }
    }
  }
  gets_on |= !found.empty();
  for (std::vector<CallAnswer>* const part : {&found, &missing}) {
    for (CallAnswer& answer : *part) memos.Take(std::move(answer));
  }
  if (gets_on || missing.empty()) return absl::OkStatus();
  return absl::OutOfRangeError("what a service answered is not written down");
}

absl::Status LocalHandlers::Await(CallMemos& memos, VerdictAttempts* attempts, AnswerSource* answers) {
  for (const CallMemos::Failure& failure : memos.TakeFailures()) {
    CountVerdict({failure.offset, failure.record, failure.why, memos.stages()[failure.stage].name,
                  failure.lost ? Verdict::Outcome::kLost : Verdict::Outcome::kFailed},
                 attempts);
  }
  awaited_ = &memos;
  absl::Status status = Ask(memos, answers);
  absl::Duration served_at = clock_.Monotonic();
  while (status.ok() && memos.outstanding() > 0) {
    const bool is_only = servers_.size() == 1;
    for (const auto& [endpoint, server] : servers_) server->Step(is_only ? kPoolTick : kTurn);
    bool waits = false;
    for (const auto& [endpoint, server] : servers_) waits |= !server->waits_for().empty();
    if (!waits) served_at = clock_.Monotonic();
    status = options_.check();
    if (status.ok() && waits) status = CheckPatience(memos, served_at);
  }
  awaited_ = nullptr;
  return status;
}

absl::Status LocalHandlers::CheckPatience(const CallMemos& memos, absl::Duration began) {
  if (clock_.Monotonic() - began < options_.patience) return absl::OkStatus();
  for (const HandlerStage& stage : memos.stages()) {
    const auto server = servers_.find(stage.endpoint);
    const std::string waits_for = server == servers_.end() ? std::string() : server->second->waits_for();
    if (waits_for.empty()) continue;
    if (stage.http != nullptr) return absl::UnavailableError(StrCat("stage ", stage.name, " ", waits_for));
    return absl::UnavailableError(StrCat("stage ", stage.name, " ", waits_for, " — none came within ",
                                         absl::FormatDuration(options_.patience),
                                         " — start one that connects there"));
  }
  return absl::OkStatus();
}

}  // namespace millrace
