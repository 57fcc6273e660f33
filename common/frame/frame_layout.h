// Where the fields of a frame's header stand (the layout is described in frame.h). For the builder and the
// view only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/frame/checksum.h"

namespace millrace::frame_layout {

inline constexpr std::string_view kMagic = "MR";
inline constexpr uint8_t kVersion = 1;

inline constexpr size_t kVersionAt = 2;
inline constexpr size_t kKindAt = 3;
inline constexpr size_t kChecksumAt = 4;
inline constexpr size_t kLengthAt = 8;
inline constexpr size_t kCountAt = 12;
inline constexpr size_t kWatermarkAt = 16;
inline constexpr size_t kBaseTimeAt = 24;
inline constexpr size_t kBaseOffsetAt = 32;
inline constexpr size_t kShapesAt = 40;
inline constexpr size_t kZeroAt = 44;

inline constexpr uint64_t kHasTime = 1;
inline constexpr uint64_t kHasHeaders = 2;
inline constexpr int kShapeShift = 2;

// Of everything but the checksum itself.
inline uint32_t Checksum(std::string_view frame) {
  return Crc32(frame.substr(kLengthAt), Crc32(frame.substr(0, kChecksumAt)));
}

}  // namespace millrace::frame_layout
