#include "coordinator/local/local_handlers.h"

#include <unistd.h>

#include <utility>

#include "common/handler/handler_stages.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kTurn = absl::Milliseconds(20);  // of one server, while another may have news

}  // namespace

LocalHandlers::LocalHandlers(Options options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

LocalHandlers::~LocalHandlers() {
  for (auto& [endpoint, server] : servers_) {
    server->Stop();
    server->Run();  // to its end: the bye
  }
}

std::unique_ptr<CallMemos> LocalHandlers::MakeMemos(const JobSpec& job, const std::string& uid) {
  std::vector<HandlerStage> stages = HandlerStagesOf(job, uid);
  if (stages.empty()) return nullptr;
  for (const HandlerStage& stage : stages) ServerOf(stage);
  return std::make_unique<CallMemos>(++askers_, std::move(stages));
}

HandlerServer& LocalHandlers::ServerOf(const HandlerStage& stage) {
  std::unique_ptr<HandlerServer>& server = servers_[stage.endpoint];
  if (server == nullptr) {
    const auto deliver = [this](uint64_t, std::vector<CallAnswer> answers) {
      if (awaited_ == nullptr) return;
      for (CallAnswer& answer : answers) awaited_->Take(std::move(answer));
    };
    const std::string life =
        StrCat(options_.name, "-", getpid(), "-", absl::ToUnixMicros(clock_.Now()), "-", servers_.size());
    server =
        std::make_unique<HandlerServer>(HandlerPool::Options{stage, options_.name, life}, clock_, deliver);
  }
  return *server;
}

void LocalHandlers::Ask(CallMemos& memos) {
  for (auto& [stage, calls] : memos.TakeAsked()) ServerOf(memos.stages()[stage]).Ask(std::move(calls));
}

absl::Status LocalHandlers::Await(CallMemos& memos, VerdictAttempts* attempts) {
  for (const CallMemos::Failure& failure : memos.TakeFailures()) {
    CountVerdict({failure.offset, failure.record, failure.why, memos.stages()[failure.stage].name,
                  failure.lost ? Verdict::Outcome::kLost : Verdict::Outcome::kFailed},
                 attempts);
  }
  awaited_ = &memos;
  Ask(memos);
  absl::Duration served_at = clock_.Monotonic();
  absl::Status status;
  while (status.ok() && memos.outstanding() > 0) {
    const bool is_only = servers_.size() == 1;
    for (const auto& [endpoint, server] : servers_) server->Step(is_only ? kPoolTick : kTurn);
    bool waits = false;
    for (const HandlerStage& stage : memos.stages()) waits |= !ServerOf(stage).waits_for().empty();
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
    const std::string waits_for = ServerOf(stage).waits_for();
    if (waits_for.empty()) continue;
    return absl::UnavailableError(StrCat("stage ", stage.name, " ", waits_for, " — none came within ",
                                         absl::FormatDuration(options_.patience),
                                         " — start one that connects there"));
  }
  return absl::OkStatus();
}

}  // namespace millrace
