// Where a partition's outputs go: to its result stream (ResultWriter), or to the partitions of the next
// segment (SegmentWriter).
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "common/frame/frame.h"
#include "common/ids.h"
#include "common/state/commit_row.h"

namespace millrace {

// Owned by a lane, as the partition is; not thread-safe, never blocks. Outputs come in order of their labels.
class OutputWriter {
 public:
  virtual ~OutputWriter() = default;

  // The next output, labelled. One that is in its stream already is passed over.
  virtual void Emit(const RecordView& record) = 0;
  // All outputs of `frame` were given; event time has come to `watermark_ms` with it.
  virtual void FinishFrame(Offset frame, int64_t watermark_ms) = 0;
  // Sends what waits, as far as the window allows; it may keep a little back for a little while, for company.
  virtual void Flush() = 0;
  // Likewise, keeping nothing back.
  virtual void FlushAll() = 0;
  // The end of the partition's input: nothing follows. Sent behind everything else.
  virtual void FinishInput() = 0;

  // Whether another frame's outputs may be made.
  virtual bool HasRoom() const = 0;

  // True when the cookie was this writer's.
  virtual bool HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) = 0;
  virtual void HandleReconnected() = 0;
  // Looks for overdue acks, retries refused sends.
  virtual void Tick() = 0;

  // Whether every output of frames up to `offset` was acknowledged (R2).
  virtual bool AckedUpTo(Offset offset) const = 0;
  virtual bool end_acked() const = 0;
  // Messages on their way to the broker that it has not acknowledged.
  virtual size_t in_flight() const = 0;
  // Not OK: the outputs can go nowhere, and the partition must stop.
  virtual absl::Status status() const = 0;
  // What a commit that is frozen now says of the outputs (R1).
  virtual void FillCommitRow(CommitRow* row) const = 0;

  virtual void CheckInvariants() const = 0;
};

}  // namespace millrace
