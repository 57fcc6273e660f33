// Runs a Lane on a thread of its own, fed by a mailbox.
#pragma once

#include <memory>
#include <utility>

#include "common/mailbox.h"
#include "common/threads.h"
#include "worker/lane/lane.h"

namespace millrace {

class LaneThread {
 public:
  explicit LaneThread(std::unique_ptr<Lane> lane, Threads& threads = SystemThreads())
      : lane_(std::move(lane)), mailbox_(threads), thread_(threads.Start([this] { Run(); })) {}
  ~LaneThread() { Join(); }
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;

  void Send(LaneEvent event) { mailbox_.Send(std::move(event)); }
  void Join() {
    if (thread_ == nullptr) return;
    mailbox_.Send(StopLane{});
    std::exchange(thread_, nullptr)->Join();
  }

 private:
  void Run() {
    bool more = false;
    while (true) {
      auto event = mailbox_.Receive(more ? absl::ZeroDuration() : kLaneTickInterval);
      while (event != nullptr) {
        if (std::holds_alternative<StopLane>(*event)) return;
        lane_->Handle(std::move(*event));
        event = mailbox_.Receive(absl::ZeroDuration());
      }
      more = lane_->Work();
    }
  }

  const std::unique_ptr<Lane> lane_;
  Mailbox<LaneEvent> mailbox_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace millrace
