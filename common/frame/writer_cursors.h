// Rule R3: what a reader takes from a stream, and what it drops.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/frame/message_header.h"
#include "common/ids.h"

namespace millrace {

// The reader's low mark and highest epoch for each writer of one stream of one job. Part of the reader's
// commit (R1). Not thread-safe.
//
// Invariants: a writer's epoch and mark never fall; a taken message starts at or before the mark and ends at
// or behind it.
class WriterCursors {
 public:
  enum class Verdict {
    kTake,       // lies beyond the mark: use it (the cursor has moved)
    kDuplicate,  // ends at or before the mark: seen before
    kGap,        // starts beyond the mark: one before it is missing and will come again
    kStale,      // of an epoch below the highest seen from this writer: a zombie's
    kForeign,    // of another uid: an earlier job of the same name
  };

  explicit WriterCursors(std::string uid) : uid_(std::move(uid)) {}

  // Judges a message and, on kTake, moves the writer's cursor. An epoch mark raises the epoch and is a kTake
  // that moves no mark; an end mark (prev == upto == mark allowed) is taken once.
  Verdict Offer(const MessageHeader& header);

  struct Cursor {
    Epoch epoch;
    Mark mark;
    uint64_t records = 0;            // as the last taken message counted them
    bool ended = false;              // its end mark was taken
    int64_t watermark_ms = kNoTime;  // the greatest that a message of its taken has carried
  };
  // Puts a cursor where a commit says it stood.
  void Restore(const std::string& writer, const Cursor& cursor) { cursors_[writer] = cursor; }
  Cursor Get(const std::string& writer) const;  // zeros for a writer never seen
  // What the message just taken says of its writer's watermark; it never falls.
  void RaiseWatermark(const std::string& writer, int64_t watermark_ms);
  const std::map<std::string, Cursor>& all() const { return cursors_; }
  const std::string& uid() const { return uid_; }

  // For the commit's row. DATA_LOSS when malformed.
  std::string Encode() const;
  static absl::StatusOr<WriterCursors> Decode(std::string_view bytes);

 private:
  std::string uid_;
  std::map<std::string, Cursor> cursors_;
};

}  // namespace millrace
