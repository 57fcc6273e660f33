// A record's event time: from the text of a field to milliseconds since the epoch, and back for results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace {

// Reads times of one format. Made once a job; Parse is const and thread-safe.
//
// Plain fields (%Y %m %d %H %M %S %z and literal text) are read by a compiled program, because ingest reads
// one time a record; whatever the program does not know, or does not accept, is left to absl::ParseTime,
// which has the last word.
class TimeParser {
 public:
  // `format` is strftime-like, as absl::ParseTime takes it, and `%S.%f` for fractions of a second; empty: RFC
  // 3339, or a number of epoch seconds, or of milliseconds when it is beyond 1e11. A time without a zone is
  // UTC. INVALID_ARGUMENT when no time can be read with it.
  static absl::StatusOr<TimeParser> Create(std::string_view format);

  // Milliseconds since the epoch, fractions of one cut off; nullopt when `text` is no such time.
  std::optional<int64_t> Parse(std::string_view text) const;

 private:
  enum class Field : uint8_t { kYear, kMonth, kDay, kHour, kMinute, kSecond, kFraction, kZone, kLiteral };
  struct Op {
    Field field;
    char literal = 0;
  };

  TimeParser() = default;
  static std::vector<Op> Compile(std::string_view format);
  static std::optional<int64_t> Run(const std::vector<Op>& program, std::string_view text);
  std::optional<int64_t> ParseStandard(std::string_view text) const;

  std::string format_;       // in absl's words; empty: the standard forms
  std::vector<Op> program_;  // empty: the format has a field that only absl knows
};

// `2001-01-01T08:10:00Z`; milliseconds are shown only when they are not zero: `2001-01-01T08:10:00.250Z`.
std::string FormatTime(int64_t time_ms);

}  // namespace millrace
