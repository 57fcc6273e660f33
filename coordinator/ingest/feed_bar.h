// How far an ingest is, as one line on a terminal, rewritten in place.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/clock.h"
#include "coordinator/ingest/ingest.h"

namespace millrace {

// How much there is to feed, and what people call it.
struct FeedTotal {
  uint64_t amount = 0;        // of `unit`s; 0: not known
  const char* unit = "byte";  // what the input's positions count
  const char* what = "line";  // what it is made of
};

// Shows nothing where stderr is no terminal. Not thread-safe.
class FeedBar {
 public:
  FeedBar(const Clock& clock, const FeedTotal& total);
  void Show(const Ingest& ingest);
  void Clear();

 private:
  const Clock& clock_;
  const FeedTotal total_;
  const bool shown_;
  const absl::Duration start_;
  absl::Duration next_;
  bool drawn_ = false;
};

}  // namespace millrace
