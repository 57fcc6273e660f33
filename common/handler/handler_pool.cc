#include "common/handler/handler_pool.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kEnded = "its handler ended";

}  // namespace

HandlerPool::HandlerPool(Options options, HandlerLink& link, Clock& clock)
    : options_(std::move(options)),
      link_(link),
      clock_(clock),
      queue_(CallQueue::RulesFor(options_.stage)),
      next_heartbeat_(clock.Monotonic()),
      worked_at_(clock.Monotonic()) {}

HandlerPool::~HandlerPool() = default;

void HandlerPool::SetStage(HandlerStage stage) {
  options_.stage = std::move(stage);
  queue_.SetRules(CallQueue::RulesFor(options_.stage));
}

bool HandlerPool::Session::HasRoom() const {
  if (said_bye || static_cast<int64_t>(hands.size()) >= about.capacity) return false;
  return std::none_of(hands.begin(), hands.end(), [](const auto& hand) { return hand.second.suspects; });
}

void HandlerPool::Receive(const std::string& peer, std::vector<std::string> frames) {
  const absl::StatusOr<HandlerMessage> message = ReadHandlerMessage(frames);
  const absl::Status status = message.ok() ? Handle(peer, *message, &frames.back()) : message.status();
  if (status.ok()) return;
  ++counts_.lies;
  const bool registered = sessions_.contains(peer);
  LogWarning("a handler broke the protocol",
             {{"stage", options_.stage.name}, {"why", ToStd(status.message())}});
  Forget(peer, /*begun=*/true, StrCat("its handler answered wrongly: ", ToStd(status.message())));
  Refuse(peer, registered ? "result" : "register", ToStd(status.message()));
}

absl::Status HandlerPool::Handle(const std::string& peer, const HandlerMessage& message, std::string* body) {
  if (message.kind == kRegisterMessage) return Register(peer, message.body);
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) {
    counts_.ignored += message.kind == kResultMessage ? 1 : 0;
    Refuse(peer, "unregistered", "this worker does not know this connection");
    return absl::OkStatus();
  }
  Session& session = found->second;
  session.heard_at = clock_.Monotonic();
  absl::Status status;
  if (message.kind == kProgressMessage) {
    status = NoteProgress(session, message.body);
  } else if (message.kind == kResultMessage) {
    status = TakeResult(session, std::make_shared<const std::string>(std::move(*body)));
  } else if (message.kind == kByeMessage) {
    status = CheckEmptyBody(message.body);
    session.said_bye = true;
    if (status.ok() && !Send(peer, kByeMessage, EmptyBody())) return status;
  } else if (message.kind == kHeartbeatMessage) {
    status = CheckEmptyBody(message.body);
  } else {
    status = absl::InvalidArgumentError("a message of a kind that is none for a worker");
  }
  if (status.ok() && session.said_bye && session.hands.empty()) sessions_.erase(peer);
  return status;
}

absl::Status HandlerPool::Register(const std::string& peer, std::string_view body) {
  absl::StatusOr<HandlerRegister> about = ReadRegister(body);
  if (!about.ok()) return about.status();
  Forget(peer, /*begun=*/false, "its handler registered anew");
  if (std::count(about->versions.begin(), about->versions.end(), kHandlerProtocol) == 0) {
    Refuse(peer, "version", StrCat("this worker speaks version ", kHandlerProtocol));
  } else if (about->mode != options_.stage.mode) {
    Refuse(peer, "mode",
           StrCat("the stage is ", HandlerModeName(options_.stage.mode), ", the handler ",
                  HandlerModeName(about->mode)));
  } else if (sessions_.size() >= kMaxHandlersOfStage) {
    Refuse(peer, "full", StrCat(kMaxHandlersOfStage, " handlers are registered here"));
  } else {
    if (!options_.stage.is_ours()) {
      LogInfo("a handler registered",
              {{"stage", options_.stage.name}, {"handler", about->name}, {"sdk", about->sdk}});
    }
    Session& session = sessions_[peer];
    session.about = *std::move(about);
    session.heard_at = clock_.Monotonic();
    const HandlerStage& stage = options_.stage;
    HandlerWelcome welcome{
        .worker = options_.worker, .job = stage.job, .uid = stage.uid, .stage = stage.name};
    welcome.mode = stage.mode;
    welcome.progress = ProgressInterval(stage.timeout);
    welcome.timeout = stage.timeout;
    Send(peer, kWelcomeMessage, WelcomeBody(welcome));
  }
  return absl::OkStatus();
}

absl::Status HandlerPool::NoteProgress(Session& session, std::string_view body) {
  const absl::StatusOr<HandlerProgress> progress = ReadProgress(body);
  if (!progress.ok()) return progress.status();
  const auto hand = session.hands.find(progress->id);
  if (hand == session.hands.end()) return absl::OkStatus();
  Hand& batch = hand->second;
  if (progress->done > static_cast<int64_t>(batch.tasks.size())) {
    return absl::InvalidArgumentError("progress beyond the calls of its batch");
  }
  if (!batch.begun || progress->done > batch.done) {
    batch.begun = true;
    batch.done = progress->done;
    batch.sign_at = clock_.Monotonic();
  }
  return absl::OkStatus();
}

absl::Status HandlerPool::TakeResult(Session& session, std::shared_ptr<const std::string> body) {
  const absl::StatusOr<std::string_view> id = ResultId(*body);
  if (!id.ok()) return id.status();
  const auto hand = session.hands.find(*id);
  if (hand == session.hands.end()) {
    ++counts_.ignored;
    return absl::OkStatus();
  }
  absl::StatusOr<JudgedResult> judged =
      JudgeResult(hand->second.shape, std::move(body), session.said_bye ? AfterBye::kYes : AfterBye::kNo);
  if (!judged.ok()) return judged.status();
  options_.metrics.batch_seconds.Observe(absl::ToDoubleSeconds(clock_.Monotonic() - hand->second.sent_at));
  NoteTime(session, hand->second);
  session.result_at = clock_.Monotonic();
  CallQueue::Tasks tasks = std::move(hand->second.tasks);
  session.hands.erase(hand);
  --batches_out_;
  queue_.Accept(std::move(tasks), *std::move(judged), &answers_);
  return absl::OkStatus();
}

// A handler with two batches begins the second when it has answered the first.
void HandlerPool::NoteTime(const Session& session, const Hand& hand) {
  constexpr int kWeight = 8;  // of what was known, to one
  const absl::Duration took = clock_.Monotonic() - std::max(hand.sent_at, session.result_at);
  const absl::Duration each = took / static_cast<int64_t>(hand.tasks.size());
  call_time_ = call_time_.has_value() ? (kWeight * *call_time_ + each) / (kWeight + 1) : each;
}

void HandlerPool::Work() {
  const absl::Duration now = clock_.Monotonic();
  if (!options_.stage.is_ours()) {
    ForgiveOwnSilence(now);
    CheckSilence(now);
    SendHeartbeats(now);
  }
  HandOut(now);
  ShowMetrics();
}

void HandlerPool::ShowMetrics() {
  HandlerMetrics& metrics = options_.metrics;
  metrics.handlers.Set(static_cast<double>(sessions_.size()));
  metrics.waiting.Set(static_cast<double>(queue_.waiting()));
  metrics.batches_out.Set(static_cast<double>(batches_out_));
  const auto show = [&](Counter& counter, uint64_t Counts::*count) {
    if (counts_.*count != shown_.*count) counter.Add(static_cast<double>(counts_.*count - shown_.*count));
  };
  show(metrics.calls, &Counts::calls);
  show(metrics.batches, &Counts::batches);
  show(metrics.lost, &Counts::lost);
  show(metrics.lies, &Counts::lies);
  show(metrics.ignored, &Counts::ignored);
  shown_ = counts_;
}

// Time in which nobody ran this pool counts against no handler.
void HandlerPool::ForgiveOwnSilence(absl::Duration now) {
  if (now - std::exchange(worked_at_, now) <= kHandlerHeartbeat) return;
  for (auto& [peer, session] : sessions_) {
    session.heard_at = now;
    for (auto& [id, hand] : session.hands) hand.sign_at = now;
  }
}

void HandlerPool::CheckSilence(absl::Duration now) {
  const absl::Duration begun_for = options_.stage.timeout + 2 * ProgressInterval(options_.stage.timeout);
  std::vector<std::pair<std::string, bool>> late;
  for (const auto& [peer, session] : sessions_) {
    absl::Duration deadline = session.heard_at + kLostAfterHeartbeats * kHandlerHeartbeat;
    bool has_begun = false;
    for (const auto& [id, hand] : session.hands) {
      if (!hand.begun) continue;
      deadline = has_begun ? std::min(deadline, hand.sign_at + begun_for) : hand.sign_at + begun_for;
      has_begun = true;
    }
    if (now >= deadline) late.emplace_back(peer, has_begun);
  }
  for (const auto& [peer, has_begun] : late) {
    const bool is_there = Refuse(peer, "late", has_begun ? "no progress within the timeout" : "no heartbeat");
    Forget(peer, std::nullopt, is_there ? "its handler took too long" : kEnded);
  }
}

void HandlerPool::SendHeartbeats(absl::Duration now) {
  if (now < next_heartbeat_) return;
  next_heartbeat_ = now + kHandlerHeartbeat;
  std::vector<std::string> peers;
  for (const auto& [peer, session] : sessions_) peers.push_back(peer);
  const std::string body = EmptyBody();
  for (const std::string& peer : peers) Send(peer, kHeartbeatMessage, body);
}

// So large that every free place of every handler gets one, within reason.
size_t HandlerPool::BatchCalls() const {
  size_t places = 0;  // that are free
  for (const auto& [peer, session] : sessions_) {
    if (session.HasRoom()) places += static_cast<size_t>(session.about.capacity) - session.hands.size();
  }
  const size_t share = places == 0 ? 0 : (queue_.waiting() + places - 1) / places;
  size_t most = kFirstBatchCalls;
  if (call_time_.has_value()) {
    const absl::Duration batch_time = options_.stage.is_ours() ? kThreadBatchTime : kBatchTime;
    const int64_t in_time = batch_time / std::max(*call_time_, absl::Nanoseconds(1));
    most = std::clamp<size_t>(static_cast<size_t>(in_time), 1, kUsualBatchCalls);
  }
  return std::clamp(share, std::min(kLeastBatchCalls, most), most);
}

// To somebody who has so many. A second batch only where there are keys enough: one of few waits for whoever is free
// next, and not behind another at one of them.
bool HandlerPool::MayHandOut(size_t hands) const {
  if (hands > 0 && queue_.ready_lines() < sessions_.size()) return false;
  const uint32_t most = options_.stage.is_ours() ? 0 : options_.stage.concurrency;
  return queue_.waiting() > 0 && (most == 0 || batches_out_ < most);
}

// A second batch only where nobody is left without a first.
void HandlerPool::HandOut(absl::Duration now) {
  size_t most_hands = 0;  // with which somebody has room still
  for (const auto& [peer, session] : sessions_) {
    if (session.HasRoom()) most_hands = std::max(most_hands, static_cast<size_t>(session.about.capacity));
  }
  for (size_t hands = 0; hands < most_hands && MayHandOut(hands); ++hands) HandOutAt(hands, now);
}

// To those who have so many, in turns.
void HandlerPool::HandOutAt(size_t hands, absl::Duration now) {
  auto turn = sessions_.lower_bound(next_peer_);
  for (size_t left = sessions_.size(); left > 0 && !sessions_.empty() && MayHandOut(hands); --left) {
    if (turn == sessions_.end()) turn = sessions_.begin();
    if (turn->second.hands.size() != hands) {
      ++turn;
      continue;
    }
    const std::string peer = turn->first;  // which may go
    const bool is_out = HandOne(peer, turn->second, now);
    turn = sessions_.upper_bound(peer);
    if (is_out) next_peer_ = turn == sessions_.end() ? std::string() : turn->first;
  }
}

bool HandlerPool::HandOne(const std::string& peer, Session& session, absl::Duration now) {
  if (!session.HasRoom()) return false;
  CallQueue::Batch batch = queue_.Next({BatchCalls(), kMaxBatchBytes}, session.hands.empty());
  if (batch.tasks.empty()) return false;
  Hand hand;
  uint32_t attempt = 1;
  absl::flat_hash_map<const CallQueue::Line*, uint32_t> keys;
  for (const auto& task : batch.tasks) {
    attempt = std::max(attempt, task->handed_out);
    const auto [key, is_new] = keys.try_emplace(task->line, static_cast<uint32_t>(keys.size()));
    hand.shape.key_of_call.push_back(key->second);
  }
  const std::string id = StrCat(options_.life, "-", ++batches_);
  const BatchReader reader = options_.stage.is_ours() ? BatchReader::kOwnThread : BatchReader::kStranger;
  const std::string body = BatchBody(id, attempt, CallQueue::CallsOf(batch.tasks), reader);
  ++counts_.batches;
  counts_.calls += batch.tasks.size();
  hand.shape.mode = options_.stage.mode;
  hand.shape.reader = reader;
  hand.tasks = std::move(batch.tasks);
  hand.suspects = batch.suspects;
  hand.sent_at = hand.sign_at = now;
  session.hands.emplace(id, std::move(hand));
  ++batches_out_;
  Send(peer, kBatchMessage, body);
  return true;
}

bool HandlerPool::Send(const std::string& peer, std::string_view kind, std::string_view body) {
  if (link_.Send(peer, kind, body)) return true;
  Forget(peer, std::nullopt, kEnded);
  return false;
}

bool HandlerPool::Refuse(const std::string& peer, std::string_view code, std::string_view why) {
  return link_.Send(peer, kRefusedMessage, RefusedBody(code, why));
}

void HandlerPool::Forget(const std::string& peer, std::optional<bool> begun, std::string_view why) {
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return;
  Session session = std::move(found->second);
  sessions_.erase(found);
  LogInfo("a handler is given up",
          {{"stage", options_.stage.name}, {"handler", session.about.name}, {"why", why}});
  batches_out_ -= session.hands.size();
  for (auto& [id, hand] : session.hands) {
    const bool was_begun = begun.value_or(hand.begun);
    counts_.lost += was_begun ? 1 : 0;
    queue_.Lose(std::move(hand.tasks), {was_begun, session.hands.size() == 1, std::string(why)}, &answers_);
  }
}

void HandlerPool::SayBye() {
  const std::string body = EmptyBody();
  for (const auto& [peer, session] : sessions_) link_.Send(peer, kByeMessage, body);
}

}  // namespace millrace
