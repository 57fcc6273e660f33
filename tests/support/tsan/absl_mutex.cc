// ThreadSanitizer and Debian's abseil: the library is not instrumented, so the sanitizer does not see that a
// Mutex orders its holders, and reports every field that one guards. The linker wraps (--wrap) the members of
// Mutex and CondVar that this project calls, and each wrapper says what the member does. Linked into
// everything of the `tsan` preset, and nothing else.
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);

// The names as the linker knows them: absl::debian3::Mutex::Lock() and so on.
#define MUTEX(name) _ZN4absl7debian35Mutex##name
#define CONDVAR(name) _ZN4absl7debian37CondVar##name
#define JOIN(a, b) a##b
#define REAL(symbol) JOIN(__real_, symbol)
#define WRAP(symbol) JOIN(__wrap_, symbol)

namespace {

// A condition is evaluated with the mutex held, but inside the library and by any thread that is about to
// unlock it: the sanitizer is told at both ends of the evaluation.
struct SeenCondition {
  void* mutex;
  const absl::Condition* condition;
};

bool Evaluate(SeenCondition* seen) {
  __tsan_acquire(seen->mutex);
  const bool holds = seen->condition->Eval();
  __tsan_release(seen->mutex);
  return holds;
}

}  // namespace

extern "C" {

// RocksDB is not instrumented either: the sanitizer sees what it allocates, compares and frees, and none of
// its locks; nor those around its own hash tables, which are templates of the standard library. This project
// uses no such table.
const char* __tsan_default_suppressions() { return "race:rocksdb::\nrace:std::_Hashtable\n"; }

#define LOCKS(name)                     \
  void REAL(MUTEX(name))(void* mutex);  \
  void WRAP(MUTEX(name))(void* mutex) { \
    REAL(MUTEX(name))(mutex);           \
    __tsan_acquire(mutex);              \
  }
LOCKS(4LockEv)
LOCKS(10ReaderLockEv)

#define UNLOCKS(name)                   \
  void REAL(MUTEX(name))(void* mutex);  \
  void WRAP(MUTEX(name))(void* mutex) { \
    __tsan_release(mutex);              \
    REAL(MUTEX(name))(mutex);           \
  }
UNLOCKS(6UnlockEv)
UNLOCKS(12ReaderUnlockEv)

void REAL(MUTEX(5AwaitERKNS0_9ConditionE))(void* mutex, const absl::Condition& condition);
void WRAP(MUTEX(5AwaitERKNS0_9ConditionE))(void* mutex, const absl::Condition& condition) {
  SeenCondition seen{mutex, &condition};
  __tsan_release(mutex);
  REAL(MUTEX(5AwaitERKNS0_9ConditionE))(mutex, absl::Condition(&Evaluate, &seen));
  __tsan_acquire(mutex);
}

bool REAL(MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(void* mutex,
                                                                     const absl::Condition& condition,
                                                                     absl::Duration timeout);
bool WRAP(MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(void* mutex,
                                                                     const absl::Condition& condition,
                                                                     absl::Duration timeout) {
  SeenCondition seen{mutex, &condition};
  __tsan_release(mutex);
  const bool held = REAL(MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(
      mutex, absl::Condition(&Evaluate, &seen), timeout);
  __tsan_acquire(mutex);
  return held;
}

void REAL(CONDVAR(4WaitEPNS0_5MutexE))(void* condition, absl::Mutex* mutex);
void WRAP(CONDVAR(4WaitEPNS0_5MutexE))(void* condition, absl::Mutex* mutex) {
  __tsan_release(mutex);
  REAL(CONDVAR(4WaitEPNS0_5MutexE))(condition, mutex);
  __tsan_acquire(mutex);
}

bool REAL(CONDVAR(15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE))(void* condition, absl::Mutex* mutex,
                                                                 absl::Duration timeout);
bool WRAP(CONDVAR(15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE))(void* condition, absl::Mutex* mutex,
                                                                 absl::Duration timeout) {
  __tsan_release(mutex);
  const bool expired = REAL(CONDVAR(15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE))(condition, mutex, timeout);
  __tsan_acquire(mutex);
  return expired;
}

bool REAL(CONDVAR(16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE))(void* condition, absl::Mutex* mutex,
                                                              absl::Time deadline);
bool WRAP(CONDVAR(16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE))(void* condition, absl::Mutex* mutex,
                                                              absl::Time deadline) {
  __tsan_release(mutex);
  const bool expired = REAL(CONDVAR(16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE))(condition, mutex, deadline);
  __tsan_acquire(mutex);
  return expired;
}

}  // extern "C"
