#include "coordinator/chaos/damage.h"

#include <algorithm>
#include <fstream>

#include "common/strings.h"

namespace millrace::chaos {
namespace {
namespace fs = std::filesystem;

std::string ShortPath(const fs::path& file) {
  return StrCat(file.parent_path().filename().string(), "/", file.filename().string());
}

}  // namespace

std::string FlipBit(const std::filesystem::path& file, uint64_t seed) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  std::error_code error;
  const uint64_t place = seed % fs::file_size(file, error);
  char byte = 0;
  stream.seekg(static_cast<std::streamoff>(place)).get(byte);
  byte = static_cast<char>(byte ^ (1 << (seed / 7 % 8)));
  stream.seekp(static_cast<std::streamoff>(place)).put(byte).flush();
  return stream && !error
             ? StrCat("bit ", seed / 7 % 8, " of byte ", place, " of ", ShortPath(file), " flipped")
             : "";
}

std::string TearTail(const std::filesystem::path& file, uint64_t seed) {
  std::error_code error;
  const uint64_t size = fs::file_size(file, error);
  const uint64_t torn = 1 + seed % std::min<uint64_t>(size, 4096);
  fs::resize_file(file, size - torn, error);
  return error ? "" : StrCat("the last ", torn, " of ", size, " bytes of ", ShortPath(file), " torn off");
}

}  // namespace millrace::chaos
