#include "common/frame/input_judge.h"

#include <algorithm>
#include <utility>

namespace millrace {

InputJudge::InputJudge(std::vector<std::string> writers, WriterCursors cursors)
    : writers_(std::move(writers)),
      cursors_(std::move(cursors)),
      ended_(AllEnded()),
      watermark_ms_(FindWatermark()) {}

std::optional<InputJudge::Taken> InputJudge::Offer(const MessageHeader& header) {
  Taken taken;
  taken.taken_until = cursors_.Get(header.writer).mark;
  if (cursors_.Offer(header) != WriterCursors::Verdict::kTake) return std::nullopt;
  if (header.kind == FrameKind::kEnd && !ended_ && AllEnded()) taken.ends_input = ended_ = true;
  return taken;
}

int64_t InputJudge::RaiseWatermark(const std::string& writer, int64_t watermark_ms) {
  const WriterCursors::Cursor before = cursors_.Get(writer);
  // Only who holds the partition back can bring it on.
  const bool may_move = before.watermark_ms <= watermark_ms_ || before.ended;
  if (watermark_ms > before.watermark_ms) cursors_.RaiseWatermark(writer, watermark_ms);
  if (may_move) watermark_ms_ = std::max(watermark_ms_, FindWatermark());
  return watermark_ms_;
}

bool InputJudge::AllEnded() const {
  return std::all_of(writers_.begin(), writers_.end(),
                     [this](const std::string& writer) { return cursors_.Get(writer).ended; });
}

int64_t InputJudge::FindWatermark() const {
  int64_t least = kEndOfTime;
  int64_t greatest = kNoTime;
  bool all_ended = true;
  for (const std::string& writer : writers_) {
    const WriterCursors::Cursor cursor = cursors_.Get(writer);
    greatest = std::max(greatest, cursor.watermark_ms);
    if (cursor.ended) continue;
    all_ended = false;
    least = std::min(least, cursor.watermark_ms);
  }
  // The end itself is no point in event time: what is due before it fires first, in its order.
  return all_ended ? greatest : least;
}

}  // namespace millrace
