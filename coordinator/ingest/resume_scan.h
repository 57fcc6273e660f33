// Where an ingest that died has brought each partition: read from the streams themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/frame/writer_cursors.h"
#include "common/ids.h"

namespace millrace {

// Reads every input stream, headers only, from its first message to the epoch mark of this ingest, as every
// other reader does (R3); and then the dead letters, for how many lines were rejected before. What messages
// of older epochs come behind that mark counts for nothing (R4).
//
// Fed by whoever polls the bus. Not thread-safe.
class ResumeScan {
 public:
  struct Found {
    Mark mark;
    uint64_t records = 0;
    bool ended = false;
  };

  // REQUIRES: the epoch mark was sent to every partition.
  ResumeScan(Bus& bus, std::string job, std::string uid, Epoch epoch, uint32_t partitions);
  ~ResumeScan();
  ResumeScan(const ResumeScan&) = delete;
  ResumeScan& operator=(const ResumeScan&) = delete;

  // Opens what is to be read next, at most kMaxOpenReaders at once.
  absl::Status Advance();
  // Takes an event of its readers. ABORTED: an ingest of a later epoch is at work. Others: a stream is gone
  // or has a gap, a message's header cannot be read.
  absl::Status Handle(const BusEvent& event);
  bool done() const { return partitions_done_ == found_.size() && letters_ == Letters::kDone; }

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
  };

  absl::Status HandleInput(ReaderId reader, Scan& scan, const Message& message);
  void HandleLetter(const Message& message);
  absl::Status BeginLetters();

  Bus& bus_;
  const std::string job_;
  const std::string uid_;
  const Epoch epoch_;
  std::vector<Found> found_;
  uint32_t next_partition_ = 0;  // to be opened
  size_t partitions_done_ = 0;
  absl::flat_hash_map<ReaderId, Scan> scans_;
  Letters letters_ = Letters::kWaiting;
  ReaderId letters_reader_ = 0;
  uint64_t letters_end_ = 0;  // the sequence of the last letter
  uint64_t rejected_ = 0;
};

}  // namespace millrace
