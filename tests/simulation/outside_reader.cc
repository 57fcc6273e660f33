#include "tests/simulation/outside_reader.h"

#include <cstdio>
#include <cstring>

namespace millrace::sim {

std::optional<OutsideHeader> ReadOutsideHeader(std::string_view text) {
  char kind = 0, uid[64], writer[64];
  unsigned long long epoch = 0, prev = 0, prev_index = 0, upto = 0, upto_index = 0, records = 0;
  const int read = std::sscanf(std::string(text).c_str(), "1 %c %63s %63s %llu %llu.%llu %llu.%llu %llu",
                               &kind, uid, writer, &epoch, &prev, &prev_index, &upto, &upto_index, &records);
  if (read != 9) return std::nullopt;
  return OutsideHeader{kind, uid, writer, epoch, {prev, prev_index}, {upto, upto_index}};
}

bool OutsideReader::Takes(const OutsideHeader& header) {
  if (header.uid != uid_) return false;
  Writer& writer = writers_[header.writer];
  if (header.epoch < writer.epoch) return false;
  writer.epoch = header.epoch;
  if (header.kind == 'e' || header.kind == 't') return true;
  if (header.prev > writer.mark) return false;
  if (header.kind == 'z') return !std::exchange(writer.ended, true);
  if (header.upto <= writer.mark) return false;
  writer.mark = header.upto;
  return true;
}

OutsideMark OutsideReader::mark(const std::string& writer) const {
  const auto it = writers_.find(writer);
  return it == writers_.end() ? OutsideMark{0, 0} : it->second.mark;
}

bool OutsideReader::ended(const std::string& writer) const {
  const auto it = writers_.find(writer);
  return it != writers_.end() && it->second.ended;
}

}  // namespace millrace::sim
