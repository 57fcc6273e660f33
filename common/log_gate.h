// Keeps what may happen a thousand times a second to one line now and then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"

namespace millrace {

// Not thread-safe.
class LogGate {
 public:
  // Between two lines of the same text, and (much shorter) of whatever text.
  struct Options {
    absl::Duration same = absl::Seconds(30);
    absl::Duration any = absl::Seconds(1);
  };
  LogGate() : LogGate(Options()) {}
  explicit LogGate(const Options& options) : options_(options) {}

  // Whether `text` is to be said now: then how many were kept back before it; else nullopt.
  std::optional<uint64_t> Pass(std::string_view text, absl::Duration now) {
    const absl::Duration since = now - said_at_;
    if (any_said_ && since < (text == said_ ? options_.same : options_.any)) {
      ++kept_back_;
      return std::nullopt;
    }
    any_said_ = true;
    said_at_ = now;
    said_.assign(text);
    return std::exchange(kept_back_, 0);
  }

 private:
  const Options options_;
  bool any_said_ = false;
  absl::Duration said_at_;
  std::string said_;
  uint64_t kept_back_ = 0;
};

}  // namespace millrace
