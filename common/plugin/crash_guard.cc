#include "common/plugin/crash_guard.h"

#include <csignal>
#include <ctime>
#include <memory>
#include <mutex>

#include "common/check.h"

namespace millrace {
namespace {

constexpr int kCrashSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr size_t kSignalStackBytes = 64 << 10;

// Whose code runs in this thread.
thread_local CallObserver* running_observer = nullptr;

// A stack for the handler: that of the thread may be what is used up.
class SignalStack {
 public:
  SignalStack() : bytes_(std::make_unique<char[]>(kSignalStackBytes)) {
    stack_t stack = {};
    stack.ss_sp = bytes_.get();
    stack.ss_size = kSignalStackBytes;
    sigaltstack(&stack, &before_);
  }
  ~SignalStack() { sigaltstack(&before_, nullptr); }

 private:
  const std::unique_ptr<char[]> bytes_;
  stack_t before_ = {};
};

// Async-signal-safe, as all that it calls.
void HandleCrash(int signal) {
  if (CallObserver* const observer = running_observer; observer != nullptr) {
    running_observer = nullptr;
    observer->Crash(signal);
    const timespec patience = {absl::ToInt64Seconds(kCrashPatience), 0};
    nanosleep(&patience, nullptr);
  }
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  sigaction(signal, &usual, nullptr);
  raise(signal);  // it is blocked until this returns
}

}  // namespace

void InstallCrashHandlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const int signal : kCrashSignals) {
      struct sigaction action = {};
      action.sa_handler = &HandleCrash;
      action.sa_flags = SA_ONSTACK;
      sigaction(signal, &action, nullptr);
    }
  });
}

PluginScope::PluginScope(CallObserver* observer) {
  thread_local const SignalStack stack;
  static_cast<void>(stack);
  MILLRACE_CHECK(running_observer == nullptr);
  running_observer = observer;
}

PluginScope::~PluginScope() { running_observer = nullptr; }

const char* SignalName(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    case SIGABRT:
      return "SIGABRT";
    default:
      return "a signal";
  }
}

}  // namespace millrace
