#include <limits>

#include "common/frame/frame.h"
#include "common/frame/frame_layout.h"
#include "common/frame/wire.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr auto kLastKind = static_cast<uint8_t>(FrameKind::kCode);
// Tag, key length and value length.
constexpr size_t kMinRecordBytes = 3;

bool CarriesRecords(FrameKind kind) {
  return kind == FrameKind::kData || kind == FrameKind::kResults || kind == FrameKind::kVerdict;
}

absl::Status Corrupt(std::string_view bytes, std::string_view what) {
  return absl::DataLossError(StrCat("frame of ", bytes.size(), " bytes is corrupt: ", what));
}

}  // namespace

bool FrameView::LooksLikeFrame(std::string_view bytes) {
  // No text has a control character there; a frame of a later version is a frame too, and refused by Parse.
  return bytes.size() > frame_layout::kVersionAt && bytes.starts_with(frame_layout::kMagic) &&
         bytes[frame_layout::kVersionAt] > 0 && bytes[frame_layout::kVersionAt] < '\t';
}

absl::StatusOr<FrameView> FrameView::Parse(std::string_view bytes) {
  FrameView view;
  if (absl::Status status = view.ParseInto(bytes); !status.ok()) return status;
  return view;
}

absl::Status FrameView::ParseInto(std::string_view bytes) {
  absl::Status status = ParseHeader(bytes);
  if (status.ok()) status = ParseShapes();
  if (!status.ok()) {
    bytes_ = {};
    count_ = 0;
    shape_count_ = 0;
  }
  return status;
}

absl::Status FrameView::ParseHeader(std::string_view bytes) {
  using wire::LoadFixed;
  const char* const at = bytes.data();
  if (bytes.size() < kFrameHeaderBytes) return Corrupt(bytes, "shorter than a frame's header");
  if (!bytes.starts_with(frame_layout::kMagic)) return Corrupt(bytes, "does not begin with MR");
  if (const auto version = LoadFixed<uint8_t>(at + frame_layout::kVersionAt);
      version != frame_layout::kVersion) {
    return Corrupt(bytes, StrCat("version ", version, ", this program reads 1"));
  }
  if (const auto length = LoadFixed<uint32_t>(at + frame_layout::kLengthAt); length != bytes.size()) {
    return Corrupt(bytes, StrCat("says that it is ", length, " bytes long"));
  }
  if (LoadFixed<uint32_t>(at + frame_layout::kChecksumAt) != frame_layout::Checksum(bytes)) {
    return Corrupt(bytes, "the checksum does not match");
  }
  const auto kind = LoadFixed<uint8_t>(at + frame_layout::kKindAt);
  if (kind > kLastKind) return Corrupt(bytes, StrCat("unknown kind ", kind));
  kind_ = static_cast<FrameKind>(kind);
  if (LoadFixed<uint32_t>(at + frame_layout::kZeroAt) != 0) return Corrupt(bytes, "byte 44 is not zero");

  shapes_at_ = LoadFixed<uint32_t>(at + frame_layout::kShapesAt);
  if (shapes_at_ < kFrameHeaderBytes || shapes_at_ >= bytes.size()) {
    return Corrupt(bytes, StrCat("its shape table cannot be at byte ", shapes_at_));
  }
  count_ = LoadFixed<uint32_t>(at + frame_layout::kCountAt);
  if (count_ > (shapes_at_ - kFrameHeaderBytes) / kMinRecordBytes || (count_ > 0 && !CarriesRecords(kind_))) {
    return Corrupt(bytes, StrCat("it cannot hold ", count_, " records"));
  }
  watermark_ms_ = LoadFixed<int64_t>(at + frame_layout::kWatermarkAt);
  base_time_ms_ = LoadFixed<int64_t>(at + frame_layout::kBaseTimeAt);
  base_offset_ = LoadFixed<uint64_t>(at + frame_layout::kBaseOffsetAt);
  bytes_ = bytes;
  return absl::OkStatus();
}

absl::Status FrameView::ParseShapes() {
  const char* const end = bytes_.data() + bytes_.size();
  const char* at = bytes_.data() + shapes_at_;
  const auto corrupt = [&] { return Corrupt(bytes_, "malformed shape table"); };
  uint64_t shapes;
  at = wire::LoadVarint(at, end, &shapes);
  if (at == nullptr || shapes > kMaxShapes || shapes > static_cast<uint64_t>(end - at)) return corrupt();
  if (shapes_.size() < shapes) shapes_.resize(shapes);
  for (uint64_t i = 0; i < shapes; ++i) {
    uint64_t fields;
    at = wire::LoadVarint(at, end, &fields);
    // A field takes a byte at least: what is reserved stays within a small multiple of the frame.
    if (at == nullptr || fields > kMaxShapeFields || fields > static_cast<uint64_t>(end - at)) {
      return corrupt();
    }
    shapes_[i].clear();
    shapes_[i].reserve(fields);
    for (uint64_t field = 0; field < fields; ++field) {
      std::string_view name;
      at = wire::LoadText(at, end, &name);
      if (at == nullptr) return corrupt();
      shapes_[i].push_back(name);
    }
  }
  if (at != end) return Corrupt(bytes_, "bytes behind the shape table");
  shape_count_ = shapes;
  return absl::OkStatus();
}

FrameView::Cursor FrameView::records() const {
  Cursor cursor;
  if (bytes_.empty()) return cursor;
  cursor.frame_ = this;
  cursor.at_ = bytes_.data() + kFrameHeaderBytes;
  cursor.end_ = bytes_.data() + shapes_at_;
  cursor.left_ = count_;
  cursor.time_ms_ = base_time_ms_;
  cursor.offset_ = base_offset_;
  return cursor;
}

bool FrameView::Cursor::Fail(std::string_view what) {
  const auto record = frame_->count_ - left_;
  status_ = Corrupt(frame_->bytes_, StrCat(what, " in record ", record, ", which begins at byte ",
                                           at_ - frame_->bytes_.data()));
  left_ = 0;
  at_ = end_;
  return false;
}

bool FrameView::Cursor::Next(RecordView* record) {
  if (left_ == 0) {
    if (at_ != end_) return Fail("more bytes than records");
    return false;
  }
  const char* at = at_;
  uint64_t tag;
  if ((at = wire::LoadVarint(at, end_, &tag)) == nullptr) return Fail("malformed tag");
  const uint64_t shape = tag >> frame_layout::kShapeShift;
  if (shape >= kFirstRowShape + frame_->shape_count_) return Fail("unknown shape");
  record->shape = static_cast<uint32_t>(shape);
  record->fields = shape < kFirstRowShape ? nullptr : &frame_->shapes_[shape - kFirstRowShape];

  record->offset = Offset();
  record->index = 0;
  if (frame_->kind_ == FrameKind::kResults) {
    uint64_t delta;
    uint64_t index;
    if ((at = wire::LoadVarint(at, end_, &delta)) == nullptr ||
        (at = wire::LoadVarint(at, end_, &index)) == nullptr ||
        index > std::numeric_limits<uint32_t>::max() ||
        delta > std::numeric_limits<uint64_t>::max() - offset_) {
      return Fail("malformed label");
    }
    if (delta == 0 && index <= index_ && left_ != frame_->count_) return Fail("a label that does not rise");
    record->offset = Offset(offset_ += delta);
    record->index = index_ = static_cast<uint32_t>(index);
  }
  record->time_ms = kNoTime;
  if ((tag & frame_layout::kHasTime) != 0) {
    uint64_t delta;
    if ((at = wire::LoadVarint(at, end_, &delta)) == nullptr) return Fail("malformed time");
    time_ms_ =
        static_cast<int64_t>(static_cast<uint64_t>(time_ms_) + static_cast<uint64_t>(wire::UnZigZag(delta)));
    record->time_ms = time_ms_;
  }
  if ((at = wire::LoadText(at, end_, &record->key)) == nullptr) return Fail("malformed key");
  if ((at = wire::LoadText(at, end_, &record->value)) == nullptr) return Fail("malformed value");
  record->raw_headers = {};
  if ((tag & frame_layout::kHasHeaders) != 0) {
    const char* const start = at;
    uint64_t headers;
    if ((at = wire::LoadVarint(at, end_, &headers)) == nullptr) return Fail("malformed headers");
    for (std::string_view text; headers > 0; --headers) {
      if ((at = wire::LoadText(at, end_, &text)) == nullptr ||
          (at = wire::LoadText(at, end_, &text)) == nullptr) {
        return Fail("malformed headers");
      }
    }
    record->raw_headers = std::string_view(start, static_cast<size_t>(at - start));
  }
  at_ = at;
  --left_;
  return true;
}

absl::StatusOr<HeaderList> DecodeHeaders(std::string_view raw) {
  HeaderList headers;
  if (raw.empty()) return headers;
  const char* at = raw.data();
  const char* const end = at + raw.size();
  uint64_t count;
  at = wire::LoadVarint(at, end, &count);
  for (; at != nullptr && count > 0; --count) {
    std::string_view name;
    std::string_view value;
    at = wire::LoadText(at, end, &name);
    if (at != nullptr) at = wire::LoadText(at, end, &value);
    if (at != nullptr) headers.emplace_back(name, value);
  }
  if (at != end) return absl::DataLossError("a record's headers are malformed");
  return headers;
}

}  // namespace millrace
