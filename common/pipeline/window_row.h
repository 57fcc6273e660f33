// The open windows of one key, as they lie in the key's row of a window stage's first table.
//
// Little endian. Windows follow one another in order of their start, and so of their end:
//
//   tumbling, sliding   int64 start, text (varint length and bytes) of aggregate state
//   session             int64 start, int64 end, uint64 id, uint64 for each `first` and `last`, text of aggregate state
//
// A session's row begins with an int64, the time at which the stage's ordered set has the key, and a varint, how
// many records the key has had since it had no open session.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace millrace {

struct OpenWindow {
  int64_t start_ms = 0;
  int64_t end_ms = 0;  // the first millisecond behind it
  uint64_t id = 0;     // of its `distinct` values, unique among the key's open windows
  std::string_view arrivals =
      {};  // kSession: 8 bytes a `first` or `last`: the number of its value's record, 0: none
  std::string_view state = {};
};

class WindowRowFormat {
 public:
  static WindowRowFormat OfFixedSize(int64_t size_ms) { return WindowRowFormat(size_ms, 0); }
  // `ordered_columns`: how many `first` and `last` there are.
  static WindowRowFormat OfSessions(size_t ordered_columns) {
    return WindowRowFormat(0, ordered_columns * 8);
  }

  struct Head {
    int64_t noted_ms = 0;
    uint64_t records = 0;
  };
  void AppendHead(const Head& head, std::string* row) const;
  void Append(const OpenWindow& window, std::string* row) const;

  // Takes one off the front of `rest`. DATA_LOSS when it is not there.
  absl::Status TakeHead(std::string_view* rest, Head* head) const;
  absl::Status Take(std::string_view* rest, OpenWindow* window) const;

 private:
  WindowRowFormat(int64_t size_ms, size_t arrivals_bytes)
      : size_ms_(size_ms), arrivals_bytes_(arrivals_bytes) {}
  bool sessions() const { return size_ms_ == 0; }

  int64_t size_ms_;  // 0: sessions
  size_t arrivals_bytes_;
};

}  // namespace millrace
