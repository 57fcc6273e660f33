// Threads of this process in the place of handler processes: the same messages, carried by mailboxes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/handler/handler_call.h"
#include "common/handler/handler_router.h"
#include "common/mailbox.h"
#include "common/threads.h"

namespace millrace {

// Told what call a pool's thread is about to run, so that one that overruns its time can be ended. Called on that
// thread, around each call. Must be cheap.
class PoolCallWatch {
 public:
  virtual ~PoolCallWatch() = default;
  virtual void Enter(const CallPlace& place) = 0;
  virtual void Leave() = 0;
};

// What a pool's thread runs. Made on its thread, and used there only.
class PoolCode {
 public:
  virtual ~PoolCode() = default;
  // Answers the body of a `batch` with that of its `result`.
  virtual std::string Run(std::string_view batch) = 0;
};

// Batches that a thread may have at once: while it works on one, the next is there already.
inline constexpr int kPoolThreadCapacity = 2;

class PoolThreads final : public HandlerRouter {
 public:
  struct Options {
    size_t threads = 1;
    HandlerMode mode = HandlerMode::kKeyed;
    std::function<std::unique_ptr<PoolCode>()> make_code;  // called by each thread
  };
  // Each of them starts with its first batch.
  PoolThreads(Options options, Threads& threads);
  // Waits for the batches that are under way.
  ~PoolThreads() override;

  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override;
  bool Receive(absl::Duration wait, Incoming* message) override;
  void Wake() override { incoming_.Send({}); }

  // How a thread registers: the frames of its message.
  static std::vector<std::string> Register(HandlerMode mode);

 private:
  struct Member {
    explicit Member(Threads& threads) : batches(threads) {}
    Mailbox<std::string> batches;  // at most kPoolThreadCapacity; empty: the end
    std::unique_ptr<Thread> thread;
  };

  void Run(const std::string& name, Member& member);

  const Options options_;
  Threads& threads_;
  Mailbox<Incoming> incoming_;  // at most a result for each batch that is out; an empty one wakes
  std::vector<std::unique_ptr<Member>> members_;  // null: not started
};

}  // namespace millrace
