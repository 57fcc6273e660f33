#include "common/signals.h"

#include <atomic>
#include <csignal>

namespace millrace {
namespace {
std::atomic<int> g_count{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void OnSignal(int) { g_count.fetch_add(1); }
}  // namespace

void CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int StopSignals() { return g_count; }

}  // namespace millrace
