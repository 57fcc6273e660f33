#include "common/failpoint.h"

#if MILLRACE_TEST_HOOKS
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {
namespace {

struct Armed {
  std::string name;
  std::atomic<int> left{0};
};

Armed& TheArmed() {
  static Armed armed;
  static const bool once = [] {
    const char* text = std::getenv("MILLRACE_FAILPOINT");
    if (text == nullptr) return false;
    const std::string_view spec(text);
    const size_t colon = spec.find(':');
    armed.name = std::string(spec.substr(0, colon));
    armed.left = colon == std::string_view::npos ? 1 : std::atoi(text + colon + 1);
    return true;
  }();
  static_cast<void>(once);
  return armed;
}

std::function<void(const char*)>& TheHandler() {
  static std::function<void(const char*)> handler;
  return handler;
}

}  // namespace

void SetFailpointHandler(std::function<void(const char*)> handler) { TheHandler() = std::move(handler); }

void PassFailpoint(const char* name) {
  if (TheHandler()) TheHandler()(name);
  Armed& armed = TheArmed();
  if (armed.name == name && armed.left.fetch_sub(1) == 1) std::raise(SIGKILL);
}

bool HasDefect(const char* name) {
  static const char* const defect = std::getenv("MILLRACE_DEFECT");
  return defect != nullptr && std::strcmp(defect, name) == 0;
}

}  // namespace millrace
#endif
