// Named places where a test build can be made to die, and defects that it can be told to have. In other
// builds all of it is nothing.
//
//   MILLRACE_FAILPOINT=after_output_ack:3     die (SIGKILL) when the point is passed for the third time
//   MILLRACE_DEFECT=commit_before_ack         behave wrongly in that one way
#pragma once

#include "common/build_config.h"

#if MILLRACE_TEST_HOOKS
#include <functional>
namespace millrace {
// Called with the name of each failpoint that is passed, for a simulation to kill what passes it. Set it while
// nothing runs.
void SetFailpointHandler(std::function<void(const char* name)> handler);
void PassFailpoint(const char* name);
bool HasDefect(const char* name);
}  // namespace millrace
#define MILLRACE_FAILPOINT(name) ::millrace::PassFailpoint(name)
#define MILLRACE_DEFECT(name) ::millrace::HasDefect(name)
#else
#define MILLRACE_FAILPOINT(name) static_cast<void>(0)
#define MILLRACE_DEFECT(name) false
#endif
