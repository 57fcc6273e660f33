// What the executables' exit codes mean to scripts.
#pragma once

namespace millrace {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  // or an invalid file
inline constexpr int kExitNoSuchThing = 3;
inline constexpr int kExitTimedOut = 4;
inline constexpr int kExitJobFailed = 5;
inline constexpr int kExitCannotConnect = 6;
// A worker whose user code overran its time, or whose plugin crashed: EX_TEMPFAIL, start me again.
inline constexpr int kExitOverrun = 75;
inline constexpr int kExitInterrupted = 130;

}  // namespace millrace
