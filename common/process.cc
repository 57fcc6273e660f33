#include "common/process.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"

namespace millrace {
namespace {

constexpr int kKeptAtHeapEndBytes = 4 << 20;  // of each heap; glibc makes at most eight a core
constexpr int kOwnMappingBytes = 4 << 20;  // larger blocks are mapped alone, and unmapped when they are freed
constexpr int kHeapGrowthBytes = 1 << 20;

}  // namespace

void SetUpProcess() {
  mallopt(M_TRIM_THRESHOLD, kKeptAtHeapEndBytes);
  mallopt(M_MMAP_THRESHOLD, kOwnMappingBytes);
  mallopt(M_TOP_PAD, kHeapGrowthBytes);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace millrace
