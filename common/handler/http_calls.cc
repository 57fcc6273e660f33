#include "common/handler/http_calls.h"

#include <algorithm>
#include <utility>

#include "common/handler/request_batch.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kHttpCallsTick = absl::Seconds(1);
constexpr absl::Duration kSendAgain = absl::Seconds(1);  // what this machine has no room for

HttpLimits LimitsOf(const HandlerStage& stage, size_t calls) {
  HttpLimits limits;
  limits.connect = std::min(limits.connect, stage.timeout);
  limits.whole = stage.timeout;
  limits.max_answer_bytes = calls > 1 ? kMaxBatchAnswerBytes : kMaxCallAnswerBytes;
  return limits;
}

}  // namespace

HttpCalls::HttpCalls(Options options, Clock& clock, Deliver deliver)
    : secrets_(std::move(options.secrets)),
      clock_(clock),
      deliver_(std::move(deliver)),
      stage_(std::move(options.stage)),
      queue_(stage_.http),
      random_(options.seed),
      metrics_(std::move(options.metrics)) {}

void HttpCalls::Ask(std::vector<HandlerCall> calls) {
  {
    absl::MutexLock lock(&mutex_);
    std::move(calls.begin(), calls.end(), std::back_inserter(orders_.asked));
  }
  transfers_.Wake();
}

void HttpCalls::DropAsker(uint64_t asker) {
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(orders_.asked, [&](const HandlerCall& call) { return call.asker == asker; });
    orders_.dropped.push_back(asker);
  }
  transfers_.Wake();
}

void HttpCalls::Renew(HandlerStage stage) {
  absl::MutexLock lock(&mutex_);
  renewed_ = std::make_unique<HandlerStage>(std::move(stage));
}

void HttpCalls::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    orders_.stop = true;
  }
  transfers_.Wake();
}

std::string HttpCalls::waits_for() const {
  absl::MutexLock lock(&mutex_);
  return waits_for_;
}

void HttpCalls::Run() {
  while (!stopping_) Step(kHttpCallsTick);
}

void HttpCalls::Step(absl::Duration wait) {
  Obey();
  const bool may_start = Start();
  const absl::Duration until_next = may_start ? queue_.next_at() - clock_.Monotonic() : wait;
  for (HttpTransfers::Finished& done : transfers_.Poll(std::clamp(until_next, absl::ZeroDuration(), wait))) {
    const RequestQueue::Chance chance = {clock_.Monotonic(), clock_.Now(),
                                         std::uniform_real_distribution<double>(0, 1)(random_)};
    metrics_.request_seconds.Observe(absl::ToDoubleSeconds(chance.now - sent_at_.extract(done.id).mapped()));
    queue_.Take(done.id, done.answer, chance, &answers_);
  }
  Obey();
  Start();
  ShowCallMetrics(queue_, &shown_, &metrics_);
  DeliverAnswers();
}

void HttpCalls::Obey() {
  Orders orders;
  std::unique_ptr<HandlerStage> renewed;
  {
    absl::MutexLock lock(&mutex_);
    orders = std::exchange(orders_, {});
    renewed = std::move(renewed_);
  }
  if (renewed != nullptr) {
    stage_ = *std::move(renewed);
    queue_.UseStage(stage_.http);
    headers_.clear();
  }
  for (const uint64_t asker : orders.dropped) {
    for (const RequestQueue::Id id : queue_.DropAsker(asker)) {
      transfers_.Cancel(id);
      sent_at_.erase(id);
    }
  }
  for (HandlerCall& call : orders.asked) queue_.Add(std::move(call), clock_.Monotonic(), &answers_);
  stopping_ = stopping_ || orders.stop;
}

// Without its secrets no request is made: a service that is asked by a stranger refuses records for good.
bool HttpCalls::LookForSecrets() {
  if (!headers_.empty()) return true;
  absl::StatusOr<std::map<std::string, std::string>> headers =
      FillSecretHeaders(stage_.http->service.headers, secrets_);
  absl::MutexLock lock(&mutex_);
  if (!headers.ok()) {
    waits_for_ = StrCat("waits: ", ToStd(headers.status().message()));
    return false;
  }
  waits_for_.clear();
  headers_ = *std::move(headers);
  headers_["Accept"] = "application/json, */*";
  return true;
}

bool HttpCalls::Start() {
  if (!LookForSecrets()) return false;
  while (const std::optional<RequestQueue::Out> next = queue_.Next(clock_.Monotonic())) {
    Send(*next);
  }
  return true;
}

void HttpCalls::Send(const RequestQueue::Out& next) {
  const HttpCallRequest& request = *next.request;
  HttpRequestOut out;
  out.method = request.method;
  out.url = request.url;
  out.headers = headers_;
  // With the request in it: one that was made ahead may turn out another, which is not to be taken for its repeat.
  out.headers["Idempotency-Key"] =
      StrCat(stage_.uid, ".", stage_.name, ".", request.label, ".", std::string(next.digest));
  if (!request.content_type.empty()) out.headers.try_emplace("Content-Type", request.content_type);
  out.body = request.body;
  out.limits = LimitsOf(stage_, next.calls);
  const absl::Status started = transfers_.Start(next.id, out);
  if (started.ok()) {
    sent_at_[next.id] = clock_.Monotonic();
    return;
  }
  queue_.Take(next.id, absl::UnavailableError(started.message()),
              {clock_.Monotonic() + kSendAgain, clock_.Now(), 1.0}, &answers_);
}

void HttpCalls::DeliverAnswers() {
  std::map<uint64_t, std::vector<CallAnswer>> by_asker;
  for (CallAnswer& answer : answers_) by_asker[answer.asker].push_back(std::move(answer));
  answers_.clear();
  for (auto& [asker, answers] : by_asker) deliver_(asker, std::move(answers));
}

}  // namespace millrace
