// Rule R1: what one write says together with the state. A restart reads all of it, and goes on from there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/pipeline/state.h"

namespace millrace {

struct CommitRow {
  std::string uid;  // the job's
  SegmentId segment;
  PartitionId partition;

  Offset offset;                  // every frame up to it is in the state
  int64_t input_created_ns = 0;   // the input stream's identity
  int64_t offset_time_ns = 0;     // the broker's time of the message at `offset`; 0 when offset is 0
  std::string input_cursors;      // WriterCursors::Encode
  int64_t result_created_ns = 0;  // the result stream's identity
  uint64_t result_sequence = 0;   // everything up to it was judged when the commit was made
  std::string result_cursors;     // WriterCursors::Encode at result_sequence: outputs before its mark were
                                  // acknowledged (R2)
  Epoch epoch;                    // of the owner that wrote it
  // Where another segment follows, instead of results: how far the outputs have come in each of its
  // partitions (downstream_mark.h).
  std::string downstream_marks;
  Progress progress;
  uint64_t state_keys = 0;
  uint64_t state_bytes = 0;

  bool operator==(const CommitRow&) const = default;
};

std::string EncodeCommitRow(const CommitRow& row);
// DATA_LOSS when it is cut, altered, or of a version that this build does not know.
absl::StatusOr<CommitRow> DecodeCommitRow(std::string_view bytes);

// FAILED_PRECONDITION, naming both, when the row is another job's or another partition's.
absl::Status CheckBelongs(const CommitRow& row, std::string_view uid, SegmentId segment,
                          PartitionId partition);

}  // namespace millrace
