// How an ingest packs records into frames, and frames into appends.
#include <algorithm>
#include <utility>

#include "common/failpoint.h"
#include "common/names.h"
#include "coordinator/ingest/ingest.h"

namespace millrace {
namespace {

constexpr size_t kRecordOverheadBytes = 64;
constexpr size_t kMaxVarint32Bytes = 5;  // before a field's name: its length

}  // namespace

size_t Ingest::FrameBytesOf(const RecordView& record) {
  size_t bytes = kRecordOverheadBytes + record.key.size() + record.value.size() + record.raw_headers.size();
  if (record.fields != nullptr) {
    for (const std::string_view field : *record.fields) bytes += kMaxVarint32Bytes + field.size();
  }
  return bytes;
}

void Ingest::Add(uint32_t partition, const RecordView& record) {
  FrameBuilder& builder = feeds_[partition].builder;
  if (!builder.empty() && (builder.record_count() >= options_.max_frame_records ||
                           builder.size() + FrameBytesOf(record) > options_.max_frame_bytes)) {
    CloseFrame(partition);
  }
  if (open_bytes_ == 0) open_since_ = clock_.Monotonic();
  const size_t before = builder.empty() ? 0 : builder.size();
  RecordView placed = record;
  if (record.fields != nullptr) placed.shape = builder.InternShape(*record.fields);
  builder.Add(placed);
  open_bytes_ += builder.size() - before;
  ++feeds_[partition].records;
  ++records_;
  if (open_bytes_ >= options_.max_open_bytes) {
    // The record's own line is not behind position_ yet: its frame stays open.
    for (uint32_t p = 0; p < options_.partitions; ++p) {
      if (p != partition) CloseFrame(p);
    }
  }
}

void Ingest::CloseFrame(uint32_t partition) {
  Feed& feed = feeds_[partition];
  if (feed.builder.empty()) return;
  open_bytes_ -= std::min(open_bytes_, feed.builder.size());
  feed.builder.SetWatermark(watermark_ms_);
  PushFrame(partition, FrameKind::kData, {position_, 0}, feed.builder.Finish());
  feed.builder.Reset(FrameKind::kData);
  MILLRACE_FAILPOINT("ingest_after_append");
}

void Ingest::CloseAllFrames() {
  for (uint32_t p = 0; p < options_.partitions; ++p) CloseFrame(p);
  open_bytes_ = 0;
  bus_.Flush();
}

// Every partition learns the watermark and how far it was fed, also one that gets few records: windows close,
// and an ingest that resumes need not begin where that partition's last record was.
void Ingest::BringUpToDate() {
  up_to_date_at_ = clock_.Monotonic();
  // In this order: a later ingest claims before it marks, so with no claim to be seen all that was confirmed
  // before the look lies before any such mark, and counts.
  const bool confirmed = IsMilestoneConfirmed();
  const Standing standing = LookForLater();
  if (standing == Standing::kSuperseded) return;
  if (confirmed && standing == Standing::kNewest) {
    taken_position_ = milestone_->position;
    milestone_.reset();
  }
  RaiseWatermark(kNoTime);
  CloseAllFrames();
  NoteInput();
  FrameBuilder empty;
  empty.SetWatermark(watermark_ms_);
  const std::string_view frame = empty.Finish();
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    if (!feeds_[p].ended && feeds_[p].mark.offset < position_) {
      PushFrame(p, FrameKind::kData, {position_, 0}, frame);
    }
  }
  if (milestone_.has_value()) return;
  milestone_ = {position_, {}};
  for (const Feed& feed : feeds_) milestone_->pushed.push_back(feed.pushed);
}

bool Ingest::IsMilestoneConfirmed() const {
  if (!milestone_.has_value()) return false;
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    if (appender_.confirmed(p) < milestone_->pushed[p]) return false;
  }
  return true;
}

void Ingest::PushMark(uint32_t partition, FrameKind kind) {
  FrameBuilder empty(kind);
  empty.SetWatermark(watermark_ms_);
  PushFrame(partition, kind, feeds_[partition].mark, empty.Finish());
}

void Ingest::PushFrame(uint32_t partition, FrameKind kind, Mark upto, std::string_view payload) {
  Feed& feed = feeds_[partition];
  PendingAppend append;
  append.header =
      FormatMessageHeader({kind, options_.uid, options_.writer, epoch_, feed.mark, upto, feed.records});
  append.payload.assign(payload);
  feed.mark = upto;
  Push(partition, std::move(append));
}

void Ingest::Push(uint32_t partition, PendingAppend append) {
  ++feeds_[partition].pushed;
  appender_.Push(partition, std::move(append));
  if (!appender_.HasRoom(partition)) crowded_ = partition;
}

}  // namespace millrace
