#include "tests/simulation/fiber.h"

#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define MILLRACE_BEGIN_SWITCH(fake, bottom, bytes) __sanitizer_start_switch_fiber(fake, bottom, bytes)
#define MILLRACE_END_SWITCH(fake, bottom, bytes) __sanitizer_finish_switch_fiber(fake, bottom, bytes)
#else
#define MILLRACE_BEGIN_SWITCH(fake, bottom, bytes) static_cast<void>(0)
#define MILLRACE_END_SWITCH(fake, bottom, bytes) static_cast<void>(0)
#endif

namespace millrace::sim {
namespace {

constexpr size_t kStackBytes = 1 << 20;  // pages that are never touched cost nothing

// Stacks are used again: a schedule has hundreds of fibers, one after the other.
std::vector<char*>& SpareStacks() {
  static auto* const spare = new std::vector<char*>();
  return *spare;
}

char* TakeStack() {
  if (SpareStacks().empty()) {
    void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return static_cast<char*>(memory);
  }
  char* stack = SpareStacks().back();
  SpareStacks().pop_back();
  return stack;
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {}

Fiber::~Fiber() {
  assert(done_ || stack_ == nullptr);
  if (stack_ != nullptr) SpareStacks().push_back(stack_);
}

// makecontext hands on ints only.
void Fiber::Enter(unsigned high, unsigned low) {
  auto* const fiber = reinterpret_cast<Fiber*>(uint64_t{high} << 32 | low);
  MILLRACE_END_SWITCH(nullptr, &fiber->resumer_stack_, &fiber->resumer_stack_bytes_);
  fiber->body_();
  fiber->done_ = true;
  MILLRACE_BEGIN_SWITCH(nullptr, fiber->resumer_stack_, fiber->resumer_stack_bytes_);
  swapcontext(&fiber->here_, &fiber->resumer_);
}

void Fiber::Resume() {
  assert(!done_);
  if (stack_ == nullptr) {
    stack_ = TakeStack();
    getcontext(&here_);
    here_.uc_stack.ss_sp = stack_;
    here_.uc_stack.ss_size = kStackBytes;
    here_.uc_link = nullptr;
    const auto self = reinterpret_cast<uint64_t>(this);
    makecontext(&here_, reinterpret_cast<void (*)()>(&Fiber::Enter), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
  }
  [[maybe_unused]] void* fake = nullptr;
  MILLRACE_BEGIN_SWITCH(&fake, stack_, kStackBytes);
  swapcontext(&resumer_, &here_);
  MILLRACE_END_SWITCH(fake, nullptr, nullptr);
  if (done_) body_ = nullptr;
}

void Fiber::Leave() {
  MILLRACE_BEGIN_SWITCH(&fake_stack_, resumer_stack_, resumer_stack_bytes_);
  swapcontext(&here_, &resumer_);
  MILLRACE_END_SWITCH(fake_stack_, &resumer_stack_, &resumer_stack_bytes_);
}

}  // namespace millrace::sim
