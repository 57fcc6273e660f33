// What each of our processes sets once, before it starts a thread.
#pragma once

namespace millrace {

// - Free memory stays with the process. glibc gives what is free at the end of a heap back to the kernel from
//   128 KiB on, and the heap of a thread that receives messages grows and shrinks by more than that all the
//   time: clearing and mapping the pages again was a tenth of such a thread's time (perf).
// - abseil's mutexes look for lock orders that may deadlock, in release builds too, as Debian compiles them.
//   Our tests keep that; a lane's hundred thousand locks a second do not.
void SetUpProcess();

}  // namespace millrace
