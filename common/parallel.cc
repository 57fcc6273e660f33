#include "common/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace millrace {

absl::Status ParallelFor(size_t count, size_t max_threads, absl::FunctionRef<absl::Status(size_t)> work) {
  std::atomic<size_t> next{0};
  absl::Mutex mutex;
  absl::Status first_error;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      const absl::Status status = work(i);
      absl::MutexLock lock(&mutex);
      first_error.Update(status);
      if (!first_error.ok()) return;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(max_threads, count); ++i) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  return first_error;
}

}  // namespace millrace
