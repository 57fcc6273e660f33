// How far an ingest is, as one line on a terminal, rewritten in place.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/clock.h"
#include "coordinator/ingest/ingest.h"

namespace millrace {

// Shows nothing where stderr is no terminal. Not thread-safe.
class FeedBar {
 public:
  // `total_bytes`: of the input; 0: not known.
  FeedBar(const Clock& clock, uint64_t total_bytes);
  void Show(const Ingest& ingest);
  void Clear();

 private:
  const Clock& clock_;
  const uint64_t total_bytes_;
  const bool shown_;
  const absl::Duration start_;
  absl::Duration next_;
  bool drawn_ = false;
};

}  // namespace millrace
