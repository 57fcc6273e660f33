#include "common/frame/checksum.h"

#include <libdeflate.h>

namespace millrace {

uint32_t Crc32(std::string_view bytes, uint32_t before) {
  return libdeflate_crc32(before, bytes.data(), bytes.size());
}

}  // namespace millrace
