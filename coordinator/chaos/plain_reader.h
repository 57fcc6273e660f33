// The wire as ARCHITECTURE.md documents it, read by code of its own: the header, the frame, rule R3. It
// shares nothing with what the engine reads and writes with, so that it cannot share its mistakes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace millrace::chaos {

// offset.index
using PlainMark = std::pair<uint64_t, uint64_t>;

// Millrace: 1 <kind> <uid> <writer> <epoch> <prev> <upto> <records>
struct PlainHeader {
  char kind = '?';
  std::string uid, writer;
  uint64_t epoch = 0;
  PlainMark prev, upto;
  uint64_t records = 0;
};
absl::StatusOr<PlainHeader> ParsePlainHeader(std::string_view text);

struct PlainRecord {
  uint64_t offset = 0, index = 0;  // of results
  std::string key;
  nlohmann::json value;
};
// DATA_LOSS when the frame is not what the documents say.
absl::StatusOr<std::vector<PlainRecord>> ReadPlainFrame(std::string_view frame);

enum class Taken { kTaken, kDuplicate, kGap, kStale, kForeign };

// Rule R3 for one stream: which messages count.
class PlainReader {
 public:
  explicit PlainReader(std::string uid) : uid_(std::move(uid)) {}
  // The reader's mark for the writer before the message is in `before`: of a message that was taken, what
  // lies behind it counts.
  Taken Judge(const PlainHeader& header, PlainMark* before);

 private:
  struct Writer {
    uint64_t epoch = 0;
    PlainMark mark{0, 0};
  };
  const std::string uid_;
  std::map<std::string, Writer> writers_;
};

// Which partition a key belongs to: FNV-1a, 32 bits, modulo.
uint32_t PlainPartition(std::string_view key, uint32_t partitions);

}  // namespace millrace::chaos
