// Tells ThreadSanitizer what it cannot see: that a pointer which went through a library that is not
// instrumented (ZeroMQ) was handed from one thread to another. Nothing in other builds.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define MILLRACE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MILLRACE_TSAN 1
#endif
#endif

#ifdef MILLRACE_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#define MILLRACE_HAND_OVER(pointer) __tsan_release(pointer)
#define MILLRACE_TAKE_OVER(pointer) __tsan_acquire(pointer)
#else
#define MILLRACE_HAND_OVER(pointer) static_cast<void>(0)
#define MILLRACE_TAKE_OVER(pointer) static_cast<void>(0)
#endif
