// Tells a crash of a plugin's code from any other, so that it can be counted as an attempt of the record.
//
// A signal like SIGSEGV is delivered to the thread that caused it. Where that thread is in a PluginScope, its observer is
// told, from the handler, and the thread then waits: whoever watches the observer (worker/lane/watchdog.h) writes down what
// is to be known and ends the process. Its memory may be damaged by then, as it may be after any crash; so the wait is
// bounded, and behind it the signal takes its usual course, as it does in any other thread.
#pragma once

#include "absl/time/time.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

inline constexpr absl::Duration kCrashPatience = absl::Seconds(10);

// For SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, of the whole process. May be called again. Thread-safe.
void InstallCrashHandlers();

// This thread runs a plugin's code as long as it lives. Scopes do not nest.
class PluginScope {
 public:
  // `observer` may be null: a crash is then like any other.
  explicit PluginScope(CallObserver* observer);
  ~PluginScope();
  PluginScope(const PluginScope&) = delete;
  PluginScope& operator=(const PluginScope&) = delete;
};

// "SIGSEGV". Async-signal-safe.
const char* SignalName(int signal);

}  // namespace millrace
