// Assertions about our own code, in every build with test hooks (`./run test` stops at a broken invariant though
// it runs optimised code) and in debug builds. In what users run nothing comes of them, but the condition is evaluated
// all the same: what it does besides is done in every build, and what it does not do costs nothing. Never for input,
// network or disk: those are absl::Status.
#pragma once

#include "common/build_config.h"

#if MILLRACE_TEST_HOOKS || !defined(NDEBUG)
namespace millrace {
// Says what does not hold, and where, on stderr; aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace millrace
#define MILLRACE_CHECK(condition)                      \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::millrace::CheckFailed(__FILE__, __LINE__, #condition))
#else
#define MILLRACE_CHECK(condition) static_cast<void>(static_cast<bool>(condition))
#endif
