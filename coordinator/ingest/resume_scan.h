// Where an ingest that died has brought each partition: read from the streams themselves.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/cluster/key_view.h"
#include "common/frame/writer_cursors.h"
#include "common/ids.h"

namespace millrace {

// Reads every input stream, headers only, from its first message to the epoch mark of this ingest, as every
// other reader does (R3); and then the dead letters, for how many of its lines were rejected before. What messages
// of older epochs come behind that mark counts for nothing (R4).
//
// Where the job's logs are trimmed (`retain: results`), a stream is read from its beginning as that was noted
// (common/cluster/log_begin.h); trimmed further under the scan, it is begun again.
//
// Fed by whoever polls the bus. Not thread-safe.
class ResumeScan {
 public:
  struct Job {
    std::string name;
    std::string uid;
    std::string writer;
    uint32_t partitions = 1;
    bool trims_log = false;
  };
  struct Found {
    Mark mark;
    uint64_t records = 0;
    bool ended = false;
  };

  // REQUIRES: the epoch mark was sent to every partition.
  ResumeScan(Bus& bus, Job job, Epoch epoch);
  ~ResumeScan();
  ResumeScan(const ResumeScan&) = delete;
  ResumeScan& operator=(const ResumeScan&) = delete;

  // Opens what is to be read next, at most kMaxOpenReaders at once.
  absl::Status Advance();
  // Takes an event of its readers. ABORTED: an ingest of a later epoch is at work. Others: a stream is gone
  // or has a gap, a message's header cannot be read.
  absl::Status Handle(const BusEvent& event);
  bool done() const { return settled_ == found_.size() && letters_ == Letters::kDone; }

  // REQUIRES for all below: done().
  const std::vector<Found>& found() const { return found_; }
  // How many lines were rejected, and safely so.
  uint64_t rejected() const { return rejected_; }
  // From where on rejected lines must be told (again).
  uint64_t rejects_start() const;
  // The first position that some partition lacks; nullopt: every partition has ended.
  std::optional<uint64_t> start() const;

 private:
  static constexpr size_t kMaxOpenReaders = 32;
  enum class Letters { kWaiting, kReading, kDone };

  struct Scan {
    uint32_t partition;
    WriterCursors cursors;
    Offset begin;  // the stream is read behind it
  };
  // A stream that did not begin any more where it was to be read from.
  struct Trimmed {
    Offset begin;
    absl::Status error;
  };

  // Whether it is known where the logs begin.
  absl::StatusOr<bool> KnowsBegins();
  absl::Status Open(uint32_t partition);
  absl::Status HandleInput(ReaderId reader, Scan& scan, const Message& message);
  absl::Status HandleInputError(const Scan& scan, const absl::Status& error);
  // Settles the partition when its stream has come to this ingest's epoch.
  absl::StatusOr<bool> Settle(const Scan& scan);
  void HandleLetter(const Message& message);
  absl::Status BeginLetters();

  Bus& bus_;
  const Job job_;
  const Epoch epoch_;
  std::vector<Found> found_;
  std::deque<uint32_t> unopened_;  // partitions
  size_t settled_ = 0;             // partitions
  absl::flat_hash_map<ReaderId, Scan> scans_;
  std::map<uint32_t, Trimmed> trimmed_;  // by partition
  std::optional<KeyView> epochs_;        // only where logs are trimmed
  CatchUp epochs_caught_up_;
  Letters letters_ = Letters::kWaiting;
  ReaderId letters_reader_ = 0;
  uint64_t letters_end_ = 0;  // the sequence of the last letter
  uint64_t rejected_ = 0;
};

}  // namespace millrace
