// What crosses from one thread to another: a queue of owned items over a pipe; between real threads, a ZeroMQ
// inproc pipe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/threads.h"

namespace millrace {

// A PUSH/PULL pair that carries one pointer a message. mailbox.cc alone knows zmq.hpp.
std::unique_ptr<PointerPipe> NewZmqPipe();

// Items of type T, moved in by any thread and taken out by its one owner. What is left in it at the end is
// destroyed.
//
// It has no limit of its own: threads send to each other in circles (manager and lane, lane and committer),
// and two that wait for room at each other's door wait for ever. So each kind of item has its bound where it
// comes from, and who adds a kind names one. The lanes' are written in worker/lane/lane.h.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(Threads& threads = SystemThreads()) : pipe_(threads.NewPipe()) {}
  ~Mailbox() {
    while (Receive(absl::ZeroDuration()) != nullptr) {
    }
  }

  void Send(T item) { pipe_->Send(new T(std::move(item))); }
  // nullptr: nothing came within `wait`.
  std::unique_ptr<T> Receive(absl::Duration wait) {
    return std::unique_ptr<T>(static_cast<T*>(pipe_->Receive(wait)));
  }

 private:
  const std::unique_ptr<PointerPipe> pipe_;
};

}  // namespace millrace
