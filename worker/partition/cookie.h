// What the cookie of an append says: which partition of this process sent it, for what, and which of its
// messages it is.
//
//     bits 32..63  the partition's instance number
//     bits 30..31  0: a result; 1: a dead letter; 2: an output for the next segment;
//                  3: a code mark
//     bits 0..29   counts messages (see appender.h for those of the next segment)
#pragma once

#include <cstdint>

#include "common/append/appender.h"

namespace millrace {

inline constexpr uint64_t kCookieCounterMask = (uint64_t{1} << kAppendCookieBits) - 1;
inline constexpr uint64_t kDeadLetterCookie = uint64_t{1} << kAppendCookieBits;
inline constexpr uint64_t kNextSegmentCookie = uint64_t{2} << kAppendCookieBits;
inline constexpr uint64_t kCodeMarkCookie = uint64_t{3}
                                            << kAppendCookieBits;  // its bits 0..29: which version
inline constexpr int kCookieInstanceShift = kAppendCookieBits + 2;

constexpr uint64_t CookieInstance(uint64_t cookie) { return cookie >> kCookieInstanceShift; }

}  // namespace millrace
