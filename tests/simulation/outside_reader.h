// Rule R3 as the documents tell it to somebody who writes a reader in an afternoon: the header's words, a
// mark and an epoch for each writer. It shares no code with the project's own readers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millrace::sim {

using OutsideMark = std::pair<uint64_t, uint64_t>;

struct OutsideHeader {
  char kind = ' ';
  std::string uid, writer;
  uint64_t epoch = 0;
  OutsideMark prev, upto;
};
std::optional<OutsideHeader> ReadOutsideHeader(std::string_view text);

class OutsideReader {
 public:
  explicit OutsideReader(std::string uid) : uid_(std::move(uid)) {}

  // Whether the message counts.
  bool Takes(const OutsideHeader& header);
  OutsideMark mark(const std::string& writer) const;
  bool ended(const std::string& writer) const;

 private:
  struct Writer {
    uint64_t epoch = 0;
    OutsideMark mark{0, 0};
    bool ended = false;
  };
  const std::string uid_;
  std::map<std::string, Writer> writers_;
};

}  // namespace millrace::sim
