#include "common/frame/wire.h"

namespace millrace::wire {

const char* LoadLongVarint(const char* at, const char* end, uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; at != end && shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(*at++);
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (shift == 63 && byte > 1) return nullptr;
      *value = result;
      return at;
    }
  }
  return nullptr;
}

}  // namespace millrace::wire
