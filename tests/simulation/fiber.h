// A call that can be left in the middle and gone on with later: what a thread is in a simulation.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>

namespace millrace::sim {

// Belongs to one thread. A fiber must have ended, or never have begun, before it is destroyed.
class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Goes on until the next Leave or the end. Not from within a fiber.
  void Resume();
  // From within the fiber that runs: back to whoever resumed it.
  void Leave();
  bool begun() const { return stack_ != nullptr || done_; }
  bool done() const { return done_; }

 private:
  static void Enter(unsigned high, unsigned low);

  std::function<void()> body_;
  char* stack_ = nullptr;
  bool done_ = false;
  ucontext_t here_{};
  ucontext_t resumer_{};
  // For the address sanitizer, which must know the stack that runs.
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] const void* resumer_stack_ = nullptr;
  [[maybe_unused]] size_t resumer_stack_bytes_ = 0;
};

}  // namespace millrace::sim
