// Does a job's output follow from its input? Replays every partition's log and compares what comes out with
// what is there: results one by one, what crossed from segment to segment, dead letters, epochs, and the
// owner's state where there is an owner.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/job/segments.h"
#include "common/pipeline/state_digest.h"
#include "coordinator/verify/crossing.h"
#include "coordinator/verify/result_comparer.h"
#include "coordinator/views/cluster.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct VerifyReport {
  uint32_t partitions = 0;
  uint64_t messages = 0, messages_in_log = 0;  // replayed; there
  uint64_t records = 0;                        // of the first segment
  uint64_t results = 0;                        // compared
  uint64_t results_on_the_way = 0;             // a job that runs has not put them out yet
  uint64_t crossed = 0;                        // outputs of one segment compared with the next one's log
  uint64_t dead_letters = 0;
  uint64_t keys = 0;
  uint64_t bytes = 0;
  uint64_t dropped_messages = 0;  // sent twice, or a zombie's
  uint64_t epochs = 0;            // of the owners, in the result streams and the logs of later segments
  uint32_t states_compared = 0;
  Differences differences;
  std::vector<std::string> notes;
};
nlohmann::ordered_json ToJson(const VerifyReport& report, const std::string& job);
std::string ToText(const VerifyReport& report);

// Uses the bus's Poll. Not thread-safe.
class Verifier {
 public:
  Verifier(Bus& bus, Clock& clock, const Cluster& cluster, const JobRecord& job, const JobSpec& spec);

  // Errors: the broker's. Differences are no error: they are in the report.
  absl::StatusOr<VerifyReport> Run();

 private:
  // What an owner said of its state, before the logs were read.
  struct OwnerState {
    Offset offset;
    StateDigest state;
  };
  struct Partition;

  absl::Status ReadLetters();
  absl::Status ReadClaims();
  absl::Status VerifySegment(const SegmentSpec& segment);
  absl::StatusOr<std::optional<OwnerState>> AskState(SegmentId segment, PartitionId partition);
  Offset SettledOffset(SegmentId segment, PartitionId partition) const;
  absl::Status VerifyPartition(const SegmentSpec& segment, PartitionId partition);
  absl::Status Replay(Partition& at);
  void Conclude(Partition& at);
  void CheckWriters(const Partition& at);
  absl::Status CompareResults(Partition& at);
  absl::Status StepTo(Partition& at, Offset offset);
  absl::Status CompareState(Partition& at);
  void CompareLetters(const Partition& at);

  Bus& bus_;
  Clock& clock_;
  const Cluster& cluster_;
  const JobRecord job_;
  const JobSpec spec_;
  const bool completed_;
  std::map<std::pair<uint32_t, uint32_t>, std::set<std::string>> letters_;  // ids, by segment and partition
  std::set<std::string> claims_;                                            // epoch keys
  VerifyReport report_;
  // Into the segment under examination, and out of it; null at the job's ends. Segments are examined from the
  // last to the first: what was taken is looked at before what should have been sent.
  std::unique_ptr<Crossing> incoming_, outgoing_;
};

}  // namespace millrace
