// Which JetStream stream a job's results are published to.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/job/job_spec.h"

namespace millrace {

struct TargetStream {
  std::string stream;
  std::string subject;
  absl::Duration duplicate_window;
};

// As the broker has it now. FAILED_PRECONDITION: with what to try. A subject that no stream holds is
// refused: nobody would acknowledge what is published there.
// REQUIRES: sink.kind == kStream.
absl::StatusOr<TargetStream> FindTarget(Bus& bus, const SinkSpec& sink);

}  // namespace millrace
