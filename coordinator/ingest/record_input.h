// What an ingest reads: records, one after the other, each with its place. They come as text, or decoded already
// where they come from another job's logs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/frame/frame.h"

namespace millrace {

inline constexpr size_t kLongLineHeadBytes = 4 << 10;  // told of a record that is too long

struct InputLine {
  std::string_view
      text;  // without its line end (LF or CRLF); valid until the next call. kTooLong: its beginning
  uint64_t begin = 0;                  // position of its beginning
  uint64_t end = 0;                    // position behind it
  uint64_t text_bytes = 0;             // of the whole line, also when it was too long
  int64_t time_ms = kNoTime;           // when it was made, where the input knows
  std::string_view raw_headers;        // of a text's record, encoded as in RecordView; likewise
  const RecordView* record = nullptr;  // where it came decoded, instead of a text; valid until the next call
  std::string_view error;              // kBadRecord; likewise
};

// A position is where a record starts or ends; it only rises, and means the same to every reader of the same
// input. Not thread-safe.
class RecordInput {
 public:
  enum class Event {
    kLine,
    kTooLong,
    kHeader,     // csv: what the columns are called
    kRecord,     // decoded already, with its key, and without a text
    kBadRecord,  // to be refused: `error` says why
    kNotReady,   // nothing yet: ask again
    kEnd,
  };
  virtual ~RecordInput() = default;

  // From where Next reads on: a position that a Next has told. REQUIRES: Next was not called yet.
  virtual void StartAt(uint64_t position) = 0;
  // What an earlier reader noted by point(), in order of position. REQUIRES: likewise.
  virtual void Expect(std::vector<InputPoint> points) = 0;

  // True when the event was one of its own readers'.
  virtual bool Handle(BusEvent& /*event*/) { return false; }

  // The next record. FAILED_PRECONDITION: the input is not what was expected. Others are the medium's.
  virtual absl::StatusOr<Event> Next(InputLine* line) = 0;

  // Behind the last record that was told or passed over.
  virtual uint64_t position() const = 0;
  // Where it stands and what it has read, for a later reader to compare with. nullopt where the input is told
  // from another by other means, and within a record.
  virtual std::optional<InputPoint> point() const = 0;
  // How far event time has come with all that was told before the last record, where the input knows that; nullopt,
  // always: as far as the greatest time of its records.
  virtual std::optional<int64_t> watermark_ms() const { return std::nullopt; }
};

}  // namespace millrace
