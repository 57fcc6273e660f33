// The handlers of one stage in one process: who is registered, what they have in their hands, and when they are
// given up. All supervision of docs/handlers.md is here, so that a handler is a short loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/handler/call_queue.h"
#include "common/handler/handler_call.h"
#include "common/handler/handler_metrics.h"
#include "common/handler/messages.h"

namespace millrace {

// How messages reach handlers. Never blocks.
class HandlerLink {
 public:
  virtual ~HandlerLink() = default;
  // `peer` names a connection. False: it is gone, or takes nothing more.
  virtual bool Send(const std::string& peer, std::string_view kind, std::string_view body) = 0;
};

inline constexpr size_t kLeastBatchCalls =
    32;  // smaller ones, so that more handlers have some, cost more than they give
inline constexpr size_t kUsualBatchCalls = 512;
inline constexpr size_t kFirstBatchCalls = 4;  // as long as it is not known how long a call takes
// No larger than what takes so long: calls are shared out evenly, and an idle handler finds some.
inline constexpr absl::Duration kBatchTime = absl::Milliseconds(5);
inline constexpr absl::Duration kThreadBatchTime =
    absl::Milliseconds(1);  // of threads, whose batches cost less
inline constexpr size_t kMaxBatchBytes = 1 << 20;

// Decisions and bookkeeping; steppable, not thread-safe. Its clock is its caller's.
class HandlerPool {
 public:
  struct Options {
    HandlerStage stage;
    std::string worker;  // for people
    std::string life;    // in front of batch ids: no other pool has it, not even the next of this stage
    HandlerMetrics metrics = {};
  };
  struct Counts {
    uint64_t batches = 0, calls = 0;
    uint64_t lost = 0;     // batches whose handler was lost after it had begun them
    uint64_t lies = 0;     // messages that broke a rule
    uint64_t ignored = 0;  // results of batches that were in nobody's hands any more
  };

  // Threads of this process in the place of handlers (HandlerStage::is_ours) are neither lost nor late, nor do they
  // lie: who overruns his time ends the process (PoolCallWatch).
  HandlerPool(Options options, HandlerLink& link, Clock& clock);
  ~HandlerPool();

  void Add(HandlerCall call) { queue_.Add(std::move(call), &answers_); }
  void DropAsker(uint64_t asker) { queue_.DropAsker(asker); }
  // A message of a handler. `frames`: without the connection's name.
  void Receive(const std::string& peer, std::vector<std::string> frames);
  // Looks at deadlines, sends heartbeats, hands out what can go. Call it after each Receive or Add and every
  // kPoolTick at least.
  void Work();
  // Tells everybody that no more will come. Nothing may be called behind it.
  void SayBye();

  std::vector<CallAnswer> TakeAnswers() { return std::exchange(answers_, {}); }
  size_t handlers() const { return sessions_.size(); }
  size_t waiting() const { return queue_.waiting(); }
  const Counts& counts() const { return counts_; }
  const HandlerStage& stage() const { return options_.stage; }
  void SetStage(HandlerStage stage);

 private:
  // A batch that a handler has.
  struct Hand {
    CallQueue::Tasks tasks;
    BatchShape shape;
    absl::Duration sent_at;
    absl::Duration sign_at;  // when it was sent, or made progress
    bool suspects = false;   // it is to be the only one there
    bool begun = false;
    int64_t done = 0;
  };
  struct Session {
    HandlerRegister about;
    absl::Duration heard_at;
    absl::Duration result_at;                        // its last one
    std::map<std::string, Hand, std::less<>> hands;  // by batch id
    bool said_bye = false;

    bool HasRoom() const;
  };

  absl::Status Handle(const std::string& peer, const HandlerMessage& message, std::string* body);
  absl::Status Register(const std::string& peer, std::string_view body);
  absl::Status NoteProgress(Session& session, std::string_view body);
  absl::Status TakeResult(Session& session, std::shared_ptr<const std::string> body);
  void ForgiveOwnSilence(absl::Duration now);
  void CheckSilence(absl::Duration now);
  void SendHeartbeats(absl::Duration now);
  void HandOut(absl::Duration now);
  void HandOutAt(size_t hands, absl::Duration now);
  bool MayHandOut(size_t hands) const;
  void NoteTime(const Session& session, const Hand& hand);
  void ShowMetrics();
  bool HandOne(const std::string& peer, Session& session, absl::Duration now);
  size_t BatchCalls() const;
  bool Send(const std::string& peer, std::string_view kind, std::string_view body);
  bool Refuse(const std::string& peer, std::string_view code, std::string_view why);
  // Ends a session. `begun`: whether its batches count as begun; nullopt: those that are.
  void Forget(const std::string& peer, std::optional<bool> begun, std::string_view why);

  Options options_;
  HandlerLink& link_;
  Clock& clock_;
  CallQueue queue_;
  std::map<std::string, Session> sessions_;  // by connection
  std::string next_peer_;                    // whose turn it is
  size_t batches_out_ = 0;
  std::optional<absl::Duration> call_time_;  // of late
  uint64_t batches_ = 0;
  absl::Duration next_heartbeat_;
  absl::Duration worked_at_;
  std::vector<CallAnswer> answers_;
  Counts counts_;
  Counts shown_;  // in the metrics
};

inline constexpr absl::Duration kPoolTick = absl::Milliseconds(50);

}  // namespace millrace
