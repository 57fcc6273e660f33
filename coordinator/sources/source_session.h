// One try at feeding a job from its stream: an ingest on a connection of its own, from its claim until it
// fails. Whoever comes after it, here or in another coordinator, reads from the partitions' streams where it
// stood.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/job/job_spec.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/ingest/ingest.h"
#include "coordinator/sources/stream_input.h"

namespace millrace {

struct SourceJob {
  std::string name;
  std::string uid;
  JobSpec spec;
  InputFile source;
};

// Says by `source.<uid>` why the source is not read, and leaves the rest of what is said there. Best effort.
void TellSourceTrouble(Bus& bus, const SourceJob& job, std::string_view trouble);

// Not thread-safe: belongs to whoever polls the bus.
class SourceSession {
 public:
  // `claimer` is unique for each session. Both outlive it. Errors: those of CheckSource, and the bus's.
  static absl::StatusOr<std::unique_ptr<SourceSession>> Create(const SourceJob& job,
                                                               const std::string& claimer, Bus& bus,
                                                               Clock& clock);

  // A bounded piece of work; waits for an event for at most `wait` when there is none to do. Tells how far it
  // is by `source.<uid>` each second.
  void Turn(absl::Duration wait);
  bool done() const { return ingest_->done(); }
  // Why it ended. ABORTED: another session of a later epoch reads the source.
  const absl::Status& status() const { return ingest_->status(); }

 private:
  SourceSession(const SourceJob& job, const StreamInfo& stream, Bus& bus, Clock& clock);
  void Tell(std::string_view trouble);
  void TrimSource();

  const SourceJob job_;
  const uint64_t first_sequence_;
  const bool trims_source_;
  Bus& bus_;
  Clock& clock_;
  StreamInput input_;
  std::unique_ptr<KeyExtractor> extractor_;
  std::unique_ptr<Ingest> ingest_;
  std::vector<BusEvent> events_;
  absl::Duration tell_at_, trim_at_;
  uint64_t trimmed_ = 0;  // up to here
  bool looked_for_losses_ = false;
  SourceFed told_;
};

}  // namespace millrace
