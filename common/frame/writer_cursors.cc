#include "common/frame/writer_cursors.h"

#include <algorithm>
#include <limits>

#include "common/frame/wire.h"

namespace millrace {
namespace {

constexpr uint64_t kEncodingVersion = 2;

}  // namespace

WriterCursors::Verdict WriterCursors::Offer(const MessageHeader& header) {
  if (header.uid != uid_) return Verdict::kForeign;
  Cursor& cursor = cursors_[header.writer];
  if (header.epoch < cursor.epoch) return Verdict::kStale;
  const bool is_new_epoch = header.epoch > cursor.epoch;
  // Whatever becomes of the message itself: from here on, older epochs of this writer count for nothing.
  cursor.epoch = header.epoch;

  switch (header.kind) {
    case FrameKind::kTick:
      return Verdict::kTake;
    case FrameKind::kEpoch:
      return is_new_epoch ? Verdict::kTake : Verdict::kDuplicate;
    case FrameKind::kEnd:
      if (cursor.ended) return Verdict::kDuplicate;
      if (header.prev > cursor.mark) return Verdict::kGap;
      cursor.ended = true;
      break;
    case FrameKind::kData:
    case FrameKind::kResults:
    case FrameKind::kVerdict:
    case FrameKind::kCode:
      if (header.upto <= cursor.mark) return Verdict::kDuplicate;
      if (header.prev > cursor.mark) return Verdict::kGap;
      break;
  }
  cursor.mark = std::max(cursor.mark, header.upto);
  cursor.records = header.records;
  return Verdict::kTake;
}

WriterCursors::Cursor WriterCursors::Get(const std::string& writer) const {
  const auto it = cursors_.find(writer);
  return it == cursors_.end() ? Cursor{} : it->second;
}

void WriterCursors::RaiseWatermark(const std::string& writer, int64_t watermark_ms) {
  Cursor& cursor = cursors_[writer];
  cursor.watermark_ms = std::max(cursor.watermark_ms, watermark_ms);
}

std::string WriterCursors::Encode() const {
  std::string out;
  wire::AppendVarint(&out, kEncodingVersion);
  wire::AppendText(&out, uid_);
  wire::AppendVarint(&out, cursors_.size());
  for (const auto& [writer, cursor] : cursors_) {
    wire::AppendText(&out, writer);
    wire::AppendVarint(&out, cursor.epoch.value());
    wire::AppendVarint(&out, cursor.mark.offset);
    wire::AppendVarint(&out, cursor.mark.index);
    wire::AppendVarint(&out, cursor.records);
    wire::AppendVarint(&out, cursor.ended ? 1 : 0);
    wire::AppendVarint(&out, static_cast<uint64_t>(cursor.watermark_ms));
  }
  return out;
}

absl::StatusOr<WriterCursors> WriterCursors::Decode(std::string_view bytes) {
  const absl::Status malformed = absl::DataLossError("the row of writer cursors is malformed");
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const auto number = [&](uint64_t* value) { return (at = wire::LoadVarint(at, end, value)) != nullptr; };
  const auto text = [&](std::string_view* value) { return (at = wire::LoadText(at, end, value)) != nullptr; };

  uint64_t version;
  uint64_t writers;
  std::string_view uid;
  if (!number(&version) || version != kEncodingVersion || !text(&uid) || !number(&writers)) return malformed;
  WriterCursors result{std::string(uid)};
  for (; writers > 0; --writers) {
    std::string_view writer;
    uint64_t epoch;
    uint64_t index;
    uint64_t ended;
    uint64_t watermark_ms;
    Cursor cursor;
    if (!text(&writer) || !number(&epoch) || !number(&cursor.mark.offset) || !number(&index) ||
        !number(&cursor.records) || !number(&ended) || ended > 1 || !number(&watermark_ms) ||
        index > std::numeric_limits<uint32_t>::max()) {
      return malformed;
    }
    cursor.epoch = Epoch(epoch);
    cursor.mark.index = static_cast<uint32_t>(index);
    cursor.ended = ended == 1;
    cursor.watermark_ms = static_cast<int64_t>(watermark_ms);
    if (!result.cursors_.emplace(writer, cursor).second) return malformed;
  }
  if (at != end) return malformed;
  return result;
}

}  // namespace millrace
