// How an owner begins (rules R1 and R4): state and offset from one commit, its streams checked against what
// that commit stood on, an epoch claimed, and the streams it writes to read back and marked.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/writer_cursors.h"
#include "common/handler/recorded_answers.h"
#include "common/job/segments.h"
#include "common/metrics.h"
#include "common/pipeline/verdict_attempts.h"
#include "common/state/commit_row.h"
#include "common/state/partition_db.h"
#include "worker/partition/answer_window.h"
#include "worker/partition/downstream_mark.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/partition_id.h"
#include "worker/state/data_dir.h"
#include "worker/state/state_store.h"

namespace millrace {

// A partition that is ready to run, on its way from the opener to its lane.
struct OpenedPartition {
  PartitionKey key;
  SegmentVersions versions;  // of the code, as far as this worker knew them
  Epoch epoch;
  std::unique_ptr<StateStore> store;
  WriterCursors input_cursors{""};
  Offset offset;               // last applied
  Offset checkpoint_offset;    // of the newest checkpoint in the store; 0: none, or it was not asked
  int64_t offset_time_ns = 0;  // broker time of the message at `offset`
  int64_t input_created_ns = 0;
  int64_t result_created_ns = 0;
  // Where outputs go, behind this owner's epoch marks: the result stream's tail, or the partitions of the
  // next segment.
  LogTail result_tail;
  DownstreamMarks downstream;
  // What is made of messages before it was decided by earlier owners: outputs of it are out.
  Mark low_mark;
  VerdictAttempts attempts;
  RecordedAnswers answers;  // to calls of messages behind `offset`, as far as `answers_kept` says
  AnswersKept answers_kept;
  LogTail verdict_tail;  // likewise, where some version of the code may give verdicts
  bool gives_verdicts = false;

  // What is the same in all of them: where it stands, and who writes to it.
  const SegmentSpec& segment() const { return *versions.front(); }
};

struct OpenRequest {
  PartitionKey key;
  SegmentVersions versions;
  std::string claimer;  // unique: the worker's incarnation and an attempt number
  uint64_t state_budget_bytes = 64 << 20;
  // Loads the files that versions of the code from `first` on need: those that the log behind the state can still come to.
  // Before the epoch is claimed; empty: they need none.
  std::function<absl::StatusOr<SegmentVersions>(const SegmentVersions& versions, uint64_t first)> load_code =
      {};
  // Asked before the epoch is claimed, which takes the partition from whoever has it; empty: it is.
  std::function<bool()> still_wanted = {};
  size_t max_answer_bytes = kMaxRecordedAnswerBytes;
  BlobStore* checkpoints = nullptr;  // not owned; nullptr: this worker has no store
  int failures = 0;                  // of opening it, before
  Histogram restore_seconds;

  const SegmentSpec& segment() const { return *versions.front(); }
};

inline constexpr int kMaxEpochTries = 10'000;  // keys of earlier owners that are passed over one by one
inline constexpr int kMaxMarkTries = 100;      // refusals of the epoch mark by zombies' messages

// Blocks (broker and disk). Uses the bus's Poll. Errors:
//   UNAVAILABLE, DEADLINE_EXCEEDED   the broker or the disk: try again later
//   FAILED_PRECONDITION              another owner has a later epoch, or another process the state: let go
//   DATA_LOSS                        what the state stands on is not what the broker holds: stop it, loudly
//   CANCELLED                        it is not wanted here any more
//   RESOURCE_EXHAUSTED               the disk is full, or no epoch is free
// With which state it begins, worker/partition/state_source.h says.
absl::StatusOr<std::unique_ptr<OpenedPartition>> OpenPartition(Bus& bus, Clock& clock, DataDir& data_dir,
                                                               std::shared_ptr<DbResources> resources,
                                                               const OpenRequest& request);

}  // namespace millrace
