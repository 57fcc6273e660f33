// What the cookie of an append says: which partition of this process sent it, for what, and which of its
// messages it is.
//
//     bits 25..63  the partition's instance number
//     bit  24      0: a result; 1: a dead letter
//     bits 0..23   counts messages
#pragma once

#include <cstdint>

namespace millrace {

inline constexpr uint64_t kCookieCounterMask = 0xffffff;
inline constexpr uint64_t kDeadLetterCookie = uint64_t{1} << 24;
inline constexpr int kCookieInstanceShift = 25;

constexpr uint64_t CookieInstance(uint64_t cookie) { return cookie >> kCookieInstanceShift; }

}  // namespace millrace
