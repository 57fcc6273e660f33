// Brings an input into its job's partitions' streams, exactly once, whatever dies on the way: a writer under
// rules R3 and R4. A job that reads a source for ever may have more inputs beside it, each a writer of its own
// (added_input.h); those say nothing of event time, since the job's time is its source's.
//
//   claim    the next epoch of the writer, a key made once
//   mark     that epoch in every partition's stream
//   resume   where each partition stands is read from the streams (only when there was an ingest before)
//   feed     lines to records to frames; each frame says up to which position its partition is fed
//   end      an end mark for every partition, everything confirmed, no later epoch claimed: `fed.<uid>` (`fed.<uid>.add-<n>`)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/append/appender.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/ingest/record_input.h"
#include "coordinator/ingest/resume_scan.h"

namespace millrace {

struct IngestOptions {
  std::string job;
  std::string uid;
  std::string writer = kIngestWriter;  // or AddedWriter
  uint32_t partitions = 1;
  bool trims_log = false;  // `retain: results`: its streams may begin in the middle
  std::string claimer;     // unique for each ingest: what it writes into the keys it makes

  // A frame is closed at the first of these. Measured: frames of about a hundred records are near the
  // optimum.
  uint32_t max_frame_records = 512;
  size_t max_frame_bytes = 32 << 10;
  size_t max_open_bytes = 32 << 20;                   // of all frames that are being filled
  absl::Duration linger = absl::Milliseconds(20);     // while the input has nothing to give
  absl::Duration mark_interval = absl::Seconds(1);    // all partitions are brought up to date so often
  size_t max_message_bytes = (1 << 20) - (16 << 10);  // what the server takes; a larger record is rejected
  AppenderOptions append;
};

// Not thread-safe. Nothing happens but in Handle and Pump, and these do a bounded piece of work each; only
// making and reading keys blocks, within Pump.
class Ingest {
 public:
  enum class Phase { kClaim, kMark, kResume, kFeed, kEnd, kDone, kFailed };

  // `input` and `extractor` are read by this ingest alone. All must outlive it.
  Ingest(IngestOptions options, Bus& bus, Clock& clock, RecordInput& input, KeyExtractor& extractor);

  // Every event that the bus's Poll gave.
  void Handle(const BusEvent& event);
  // Goes on. True: there is more to do at once; false: wait for an event, at most `linger`.
  bool Pump();

  Phase phase() const { return phase_; }
  bool done() const { return phase_ == Phase::kDone || phase_ == Phase::kFailed; }
  // Why it failed. ABORTED: another ingest of a later epoch took over. INVALID_ARGUMENT, DATA_LOSS: the
  // input. FAILED_PRECONDITION: the input is not the one that was fed before.
  const absl::Status& status() const { return status_; }

  uint64_t records() const { return records_; }    // of all epochs; what has been read, not yet confirmed
  uint64_t rejected() const { return rejected_; }  // lines
  uint64_t position() const { return position_; }  // in the input
  uint64_t resumed_from() const { return resumed_from_; }
  // Whoever feeds this job again begins at it or behind it: all before is in the partitions' streams, where every
  // reader takes it. Follows position() by about mark_interval.
  uint64_t taken_position() const { return taken_position_; }
  Epoch epoch() const { return epoch_; }
  const std::string& trouble() const { return appender_.trouble(); }

 private:
  static constexpr int kLinesPerPump = 512;

  struct Feed {
    FrameBuilder builder;
    Mark mark;             // where its last frame ended
    uint64_t records = 0;  // of all epochs
    bool ended = false;    // by an earlier ingest
    uint64_t pushed = 0;   // appends, of this ingest
  };
  // A position up to which every partition was brought, and how many appends that took.
  struct Milestone {
    uint64_t position = 0;
    std::vector<uint64_t> pushed;  // by partition
  };
  // Whether an ingest of a later epoch has claimed; kUnknown: it could not be asked.
  enum class Standing { kNewest, kSuperseded, kUnknown };

  void Fail(absl::Status status);
  bool Claim();
  void MarkEpoch();
  bool Resume();
  // False: ask again later.
  bool RecallInput();
  void NoteInput();
  bool FeedSome();
  bool FeedLine(const InputLine& line);
  bool FeedRecord(const InputLine& line, RecordView record);
  void RaiseWatermark(int64_t record_time_ms);
  static size_t FrameBytesOf(const RecordView& record);  // at most
  void Add(uint32_t partition, const RecordView& record);
  void Reject(const InputLine& line, std::string_view error);
  void CloseFrame(uint32_t partition);
  void CloseAllFrames();
  void BringUpToDate();
  bool IsMilestoneConfirmed() const;
  void Push(uint32_t partition, PendingAppend append);
  void PushMark(uint32_t partition, FrameKind kind);
  void PushFrame(uint32_t partition, FrameKind kind, Mark upto, std::string_view payload);
  void EndInput();
  bool Finish();
  // Fails when superseded.
  Standing LookForLater();

  const IngestOptions options_;
  Bus& bus_;
  Clock& clock_;
  RecordInput& input_;
  KeyExtractor& extractor_;
  Appender appender_;
  std::optional<ResumeScan> scan_;

  Phase phase_ = Phase::kClaim;
  absl::Status status_;
  Epoch epoch_;
  std::vector<Feed> feeds_;
  std::optional<uint32_t> crowded_;  // the partition whose window must get room before reading goes on
  size_t open_bytes_ = 0;            // about, of the frames being filled
  absl::Duration open_since_;        // when the first of them was begun
  absl::Duration up_to_date_at_;
  InputRead read_;  // of pipes: what the next ingest compares its input with
  absl::Duration note_at_;
  absl::Duration claim_started_at_;
  absl::Duration retry_at_;  // of a key that could not be made or read
  int64_t watermark_ms_ = kNoTime;
  uint64_t position_ = 0;  // every line before it is in a frame, a dead letter, or was fed before
  uint64_t resumed_from_ = 0;
  uint64_t taken_position_ = 0;
  std::optional<Milestone> milestone_;
  uint64_t rejects_start_ = 0;
  uint64_t records_ = 0;
  uint64_t rejected_ = 0;
};

}  // namespace millrace
