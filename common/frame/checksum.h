// The checksum of frames: CRC-32 (IEEE 802.3), as zlib's crc32 computes it.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// `before`: the checksum of what goes before the bytes.
uint32_t Crc32(std::string_view bytes, uint32_t before = 0);

}  // namespace millrace
