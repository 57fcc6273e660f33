// Threads, and the pipes between them, are injected like the clock: a simulation runs a whole process in one
// thread.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"

namespace millrace {

// Carries pointers from any thread to one. Whoever sends a pointer gives up what it points to.
class PointerPipe {
 public:
  virtual ~PointerPipe() = default;
  // Never blocks. For any thread; Receive for one.
  virtual void Send(void* pointer) = 0;
  // Waits up to `wait` for one; nullptr when none came.
  virtual void* Receive(absl::Duration wait) = 0;
};

// A thread that was started. REQUIRES: joined before it is destroyed.
class Thread {
 public:
  virtual ~Thread() = default;
  // Waits for its end. Once.
  virtual void Join() = 0;
};

// Thread-safe.
class Threads {
 public:
  virtual ~Threads() = default;
  virtual std::unique_ptr<Thread> Start(std::function<void()> body) = 0;
  virtual std::unique_ptr<PointerPipe> NewPipe() = 0;
};

// The operating system's threads, with ZeroMQ between them.
Threads& SystemThreads();

}  // namespace millrace
