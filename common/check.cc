#include "common/check.h"

#if MILLRACE_TEST_HOOKS || !defined(NDEBUG)

#include <cstdio>
#include <cstdlib>

namespace millrace {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, condition);
  std::abort();
}

}  // namespace millrace

#endif
