// What a process of a test build suffers while it runs: a page of memory in a file, shared with whoever tests
// it. In other builds nobody looks at it.
//
//   MILLRACE_FAULT_PAGE=FILE
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/build_config.h"

namespace millrace {

enum class DiskFault : int32_t {
  kNone,
  kFull,     // no byte can be written: ENOSPC
  kFailing,  // what is written or synced is refused: EIO
};

// All fields are atomic: two processes read and write them.
struct FaultPage {
  // What the tester asks for.
  std::atomic<int64_t> clock_shift_ms{0};  // added to what the wall clock says
  std::atomic<DiskFault> disk{DiskFault::kNone};
  // What came of it, counted by the one that suffers.
  std::atomic<uint64_t> shifted_looks{0};  // at the wall clock
  std::atomic<uint64_t> refused_writes{0};
};
static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<DiskFault>::is_always_lock_free);

// Maps the file, made with zeros if it is not there; unmapped by the deleter. FAILED_PRECONDITION: it cannot be.
struct FaultPageDeleter {
  void operator()(FaultPage* page) const;
};
using FaultPagePtr = std::unique_ptr<FaultPage, FaultPageDeleter>;
absl::StatusOr<FaultPagePtr> MapFaultPage(const std::string& path);

#if MILLRACE_TEST_HOOKS
// The page that the environment names, for the whole life of the process; null: none.
FaultPage* OwnFaultPage();
#endif

}  // namespace millrace
