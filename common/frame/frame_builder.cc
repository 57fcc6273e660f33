#include <algorithm>

#include "absl/hash/hash.h"
#include "common/check.h"
#include "common/frame/frame.h"
#include "common/frame/frame_layout.h"
#include "common/frame/wire.h"

namespace millrace {
namespace {

constexpr size_t kFirstBufferBytes = 4096;
// Tag, offset, index, time, and the lengths of key and value.
constexpr size_t kMaxRecordOverheadBytes = 6 * wire::kMaxVarintBytes;

}  // namespace

void FrameBuilder::Reset(FrameKind kind) {
  if (buffer_.size() < kFirstBufferBytes) buffer_.resize(kFirstBufferBytes);
  used_ = kFrameHeaderBytes;
  table_.clear();
  shape_starts_.clear();
  shape_by_hash_.clear();
  last_shape_ = kRawShape;
  next_headers_.clear();
  kind_ = kind;
  count_ = 0;
  watermark_ms_ = kNoTime;
  base_time_ms_ = kNoTime;
  last_time_ms_ = 0;
  base_offset_ = 0;
  last_offset_ = 0;
  last_index_ = 0;
}

uint32_t FrameBuilder::InternShape(absl::Span<const std::string_view> fields) {
  if (last_shape_ >= kFirstRowShape && IsShape(last_shape_, fields)) return last_shape_;
  MILLRACE_CHECK(fields.size() <= kMaxShapeFields);
  // Two shapes of one hash are rare: the later one is then written to the table each time it is asked for.
  const auto next = static_cast<uint32_t>(kFirstRowShape + shape_starts_.size());
  const auto [known, is_new] = shape_by_hash_.try_emplace(absl::Hash<decltype(fields)>()(fields), next);
  if (!is_new && IsShape(known->second, fields)) return last_shape_ = known->second;

  MILLRACE_CHECK(shape_starts_.size() < kMaxShapes);
  shape_starts_.push_back(table_.size());
  wire::AppendVarint(&table_, fields.size());
  for (std::string_view field : fields) wire::AppendText(&table_, field);
  return last_shape_ = next;
}

bool FrameBuilder::IsShape(uint32_t shape, absl::Span<const std::string_view> fields) const {
  const char* at = table_.data() + shape_starts_[shape - kFirstRowShape];
  const char* const end = table_.data() + table_.size();
  uint64_t count = 0;
  at = wire::LoadVarint(at, end, &count);
  if (count != fields.size()) return false;
  for (std::string_view field : fields) {
    std::string_view name;
    at = wire::LoadText(at, end, &name);
    if (name != field) return false;
  }
  return true;
}

void FrameBuilder::AddHeaders(const HeaderList& headers) {
  next_headers_.clear();
  if (headers.empty()) return;
  wire::AppendVarint(&next_headers_, headers.size());
  for (const auto& [name, value] : headers) {
    wire::AppendText(&next_headers_, name);
    wire::AppendText(&next_headers_, value);
  }
}

void FrameBuilder::Add(const RecordView& record) {
  MILLRACE_CHECK(record.shape < kFirstRowShape + shape_starts_.size());
  const std::string_view headers = next_headers_.empty() ? record.raw_headers : next_headers_;
  char* to = Reserve(kMaxRecordOverheadBytes + record.key.size() + record.value.size() + headers.size());

  uint64_t tag = static_cast<uint64_t>(record.shape) << frame_layout::kShapeShift;
  if (record.time_ms != kNoTime) tag |= frame_layout::kHasTime;
  if (!headers.empty()) tag |= frame_layout::kHasHeaders;
  to = wire::StoreVarint(to, tag);

  if (kind_ == FrameKind::kResults) {
    const uint64_t offset = record.offset.value();
    if (count_ == 0) {
      base_offset_ = last_offset_ = offset;
    } else {
      MILLRACE_CHECK(offset > last_offset_ || (offset == last_offset_ && record.index > last_index_));
    }
    to = wire::StoreVarint(to, offset - last_offset_);
    to = wire::StoreVarint(to, record.index);
    last_offset_ = offset;
    last_index_ = record.index;
  }
  if (record.time_ms != kNoTime) {
    if (base_time_ms_ == kNoTime) base_time_ms_ = last_time_ms_ = record.time_ms;
    // Unsigned: the distance of two far times may not fit, and wraps the same way when it is read.
    const uint64_t delta = static_cast<uint64_t>(record.time_ms) - static_cast<uint64_t>(last_time_ms_);
    to = wire::StoreVarint(to, wire::ZigZag(static_cast<int64_t>(delta)));
    last_time_ms_ = record.time_ms;
  }
  to = wire::StoreText(to, record.key);
  to = wire::StoreText(to, record.value);
  if (!headers.empty()) to = std::copy(headers.begin(), headers.end(), to);

  used_ = static_cast<size_t>(to - buffer_.data());
  ++count_;
  next_headers_.clear();
}

char* FrameBuilder::Reserve(size_t bytes) {
  if (buffer_.size() - used_ < bytes) buffer_.resize(std::max(2 * buffer_.size(), used_ + bytes));
  return buffer_.data() + used_;
}

size_t FrameBuilder::ShapeCountBytes() const { return wire::VarintBytes(shape_starts_.size()); }

std::string_view FrameBuilder::Finish() {
  char* to = Reserve(wire::kMaxVarintBytes + table_.size());
  to = wire::StoreVarint(to, shape_starts_.size());
  to = std::copy(table_.begin(), table_.end(), to);

  char* const start = buffer_.data();
  const std::string_view frame(start, static_cast<size_t>(to - start));
  std::copy(frame_layout::kMagic.begin(), frame_layout::kMagic.end(), start);
  wire::StoreFixed(start + frame_layout::kVersionAt, frame_layout::kVersion);
  wire::StoreFixed(start + frame_layout::kKindAt, static_cast<uint8_t>(kind_));
  wire::StoreFixed(start + frame_layout::kLengthAt, static_cast<uint32_t>(frame.size()));
  wire::StoreFixed(start + frame_layout::kCountAt, count_);
  wire::StoreFixed(start + frame_layout::kWatermarkAt, watermark_ms_);
  wire::StoreFixed(start + frame_layout::kBaseTimeAt, base_time_ms_ == kNoTime ? int64_t{0} : base_time_ms_);
  wire::StoreFixed(start + frame_layout::kBaseOffsetAt, base_offset_);
  wire::StoreFixed(start + frame_layout::kShapesAt, static_cast<uint32_t>(used_));
  wire::StoreFixed(start + frame_layout::kZeroAt, uint32_t{0});
  wire::StoreFixed(start + frame_layout::kChecksumAt, frame_layout::Checksum(frame));
  return frame;
}

}  // namespace millrace
