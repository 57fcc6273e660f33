// The frame: one NATS message that carries one or many records of one partition, in order.
//
// Byte layout, version 1, little endian; "varint" is LEB128, "zigzag" a varint of (n << 1) ^ (n >> 63):
//
//   0   2  magic "MR"
//   2   1  version, 1
//   3   1  kind (FrameKind)
//   4   4  CRC-32 (IEEE 802.3, as zlib computes it) of bytes [0, 4) and [8, end)
//   8   4  length of the frame in bytes: must be the message's
//   12  4  number of records
//   16  8  watermark, ms since the epoch; INT64_MIN: none
//   24  8  base time, ms since the epoch: what the first record's time is relative to
//   32  8  base offset: what the first record's label offset is relative to (results; 0 elsewhere)
//   40  4  where the shape table starts
//   44  4  zero
//   48     records, up to the shape table:
//            varint  tag = shape << 2 | has_headers << 1 | has_time
//            varint  label offset minus the record's before it (kResults only)
//            varint  label index (kResults only)
//            zigzag  time minus the time of the timed record before it (has_time only)
//            varint  key length, key bytes
//            varint  value length, value bytes
//            varint  number of headers, each: varint length, name, varint length, value (has_headers only)
//   then the shape table: varint number of shapes, each: varint number of fields, each: varint length, name.
//
// What a value's bytes mean is said by its shape: 0, raw bytes; 1, one MessagePack value; n >= 2, a row: one
// MessagePack value for each field of table entry n - 2, one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace millrace {

enum class FrameKind : uint8_t {
  kData = 0,     // records of the source
  kResults = 1,  // outputs with labels
  kEpoch = 2,    // no records: a writer begins a new epoch
  kEnd = 3,      // no records: this writer has nothing more to say
  kTick = 4,     // no records: only its broker time counts
  kVerdict = 5,  // one record: a decision that is no function of the log
  kCode = 6,     // no records: what comes behind it runs under the next version of the job's code
};

inline constexpr uint32_t kRawShape = 0;
inline constexpr uint32_t kPackedShape = 1;
inline constexpr uint32_t kFirstRowShape = 2;
inline constexpr size_t kFrameHeaderBytes = 48;
inline constexpr size_t kMaxShapes = 1 << 16;    // in one frame: more than any frame of 1 MiB has room for
inline constexpr size_t kMaxShapeFields = 4096;  // in one shape

// The field names of a row.
using FieldNames = std::vector<std::string_view>;

using HeaderList = absl::InlinedVector<std::pair<std::string_view, std::string_view>, 2>;

// A record in place: views into the frame (or the caller's buffers), nothing owned.
struct RecordView {
  std::string_view key;
  std::string_view value;
  uint32_t shape = kRawShape;
  const FieldNames* fields =
      nullptr;  // the row's, when shape >= kFirstRowShape; lives as long as the FrameView
  int64_t time_ms = kNoTime;
  Offset offset;                 // the label's; kResults only
  uint32_t index = 0;            // the label's; kResults only
  std::string_view raw_headers;  // encoded; decode with DecodeHeaders
};

// Appends records to one frame in a buffer that the caller may reuse. Not thread-safe.
class FrameBuilder {
 public:
  explicit FrameBuilder(FrameKind kind = FrameKind::kData) { Reset(kind); }

  void Reset(FrameKind kind);
  void SetWatermark(int64_t watermark_ms) { watermark_ms_ = watermark_ms; }

  // The number of a row shape in this frame. Cheap when asked for the same shape again and again.
  // REQUIRES: at most kMaxShapeFields fields; at most kMaxShapes different shapes before the next Reset.
  uint32_t InternShape(absl::Span<const std::string_view> fields);

  // Copies the record in. `record.shape` must be kRawShape, kPackedShape or a number that InternShape gave
  // for this frame. Labels (kResults) must rise. `record.fields` is not looked at.
  void Add(const RecordView& record);
  void AddHeaders(
      const HeaderList& headers);  // REQUIRES: called before Add; encodes headers for the next record

  uint32_t record_count() const { return count_; }
  bool empty() const { return count_ == 0; }
  // Bytes so far, shape table included.
  size_t size() const { return used_ + table_.size() + ShapeCountBytes(); }

  // Completes the frame. The view is valid until the next Reset; nothing may be added after it.
  std::string_view Finish();

 private:
  bool IsShape(uint32_t shape, absl::Span<const std::string_view> fields) const;
  size_t ShapeCountBytes() const;
  char* Reserve(size_t bytes);

  std::string buffer_;  // [0, used_) is the frame; the rest is room to write into
  size_t used_ = 0;
  std::string table_;                 // the shape table without its count
  std::vector<size_t> shape_starts_;  // in table_, of each shape
  absl::flat_hash_map<size_t, uint32_t> shape_by_hash_;
  uint32_t last_shape_ = kRawShape;
  std::string next_headers_;
  FrameKind kind_ = FrameKind::kData;
  uint32_t count_ = 0;
  int64_t watermark_ms_ = kNoTime;
  int64_t base_time_ms_ = kNoTime;
  int64_t last_time_ms_ = 0;
  uint64_t base_offset_ = 0;
  uint64_t last_offset_ = 0;
  uint32_t last_index_ = 0;
};

// Reads a frame where it lies. Nothing in the bytes is trusted: every length is checked against what is
// there.
class FrameView {
 public:
  FrameView() = default;
  // Checks magic, version, length, checksum and shape table. DATA_LOSS when any of them is wrong, with what
  // and where.
  static absl::StatusOr<FrameView> Parse(std::string_view bytes);
  // The same into this view, whose memory is used again: for a reader of many frames. On an error the view is
  // an empty frame. RecordViews and cursors of the frame before end here.
  absl::Status ParseInto(std::string_view bytes);
  // Whether the bytes start like a frame: tells a frame from a stranger's message.
  static bool LooksLikeFrame(std::string_view bytes);

  FrameKind kind() const { return kind_; }
  uint32_t record_count() const { return count_; }
  int64_t watermark_ms() const { return watermark_ms_; }

  // Walks the records:  auto cursor = frame.records(); RecordView r; while (cursor.Next(&r)) {…}  then
  // cursor.status().
  class Cursor {
   public:
    bool Next(RecordView* record);
    absl::Status status() const { return status_; }

   private:
    friend class FrameView;
    bool Fail(std::string_view what);

    const FrameView* frame_ = nullptr;
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    uint32_t left_ = 0;
    int64_t time_ms_ = 0;
    uint64_t offset_ = 0;
    uint32_t index_ = 0;
    absl::Status status_;
  };
  // The cursor points into this FrameView, which must stay where it is meanwhile.
  Cursor records() const;

 private:
  absl::Status ParseHeader(std::string_view bytes);
  absl::Status ParseShapes();

  std::string_view bytes_;
  FrameKind kind_ = FrameKind::kData;
  uint32_t count_ = 0;
  int64_t watermark_ms_ = kNoTime;
  int64_t base_time_ms_ = 0;
  uint64_t base_offset_ = 0;
  uint32_t shapes_at_ = kFrameHeaderBytes;
  size_t shape_count_ = 0;          // shapes_ may be longer: left over from a frame before
  std::vector<FieldNames> shapes_;  // not touched between two parses: records point at the elements
};

// Decodes RecordView::raw_headers. DATA_LOSS when malformed.
absl::StatusOr<HeaderList> DecodeHeaders(std::string_view raw);

}  // namespace millrace
