// What crosses from one thread to another: a queue of owned items over a ZeroMQ inproc pipe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

// A PUSH/PULL pair that carries one pointer a message. The only class that knows zmq.hpp. Send is for any
// thread, Receive for one.
class PointerPipe {
 public:
  // At most `capacity` pointers wait in it; Send then blocks, which slows the sender down to the receiver.
  explicit PointerPipe(int capacity);
  ~PointerPipe();
  PointerPipe(const PointerPipe&) = delete;
  PointerPipe& operator=(const PointerPipe&) = delete;

  void Send(void* pointer);
  // Waits up to `wait` for one; nullptr when none came.
  void* Receive(absl::Duration wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr int kMailboxCapacity = 16384;

// Items of type T, moved in by any thread and taken out by its one owner. What is left in it at the end is
// destroyed.
template <typename T>
class Mailbox {
 public:
  Mailbox() : pipe_(kMailboxCapacity) {}
  ~Mailbox() {
    while (Receive(absl::ZeroDuration()) != nullptr) {
    }
  }

  void Send(T item) { pipe_.Send(new T(std::move(item))); }
  // nullptr: nothing came within `wait`.
  std::unique_ptr<T> Receive(absl::Duration wait) {
    return std::unique_ptr<T>(static_cast<T*>(pipe_.Receive(wait)));
  }

 private:
  PointerPipe pipe_;
};

}  // namespace millrace
