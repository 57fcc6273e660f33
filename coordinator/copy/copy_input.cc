#include "coordinator/copy/copy_input.h"

#include <utility>

#include "absl/time/time.h"
#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace {
namespace {

int64_t BrokerTimeMs(const Message& message) {
  return absl::ToUnixMillis(absl::FromUnixNanos(message.time_ns));
}

}  // namespace

CopyInput::CopyInput(const std::string& uid, std::vector<CopiedLog> logs,
                     std::unique_ptr<KeyExtractor> old_keys, NewKey key, Bus& bus)
    : what_(std::move(logs)),
      bus_(bus),
      old_keys_(std::move(old_keys)),
      key_(std::move(key)),
      merged_(uid, what_, bus) {}

absl::StatusOr<RecordInput::Event> CopyInput::Next(InputLine* line) {
  while (true) {
    if (cursor_.has_value()) {
      const absl::StatusOr<bool> there = NextRecord();
      if (!there.ok()) return there.status();
      if (*there) return TellRecord(line);
      cursor_.reset();
    }
    const absl::StatusOr<Event> event = NextMessage();
    if (!event.ok() || *event == Event::kNotReady) return event;
    if (*event == Event::kEnd) return Finish();
    if (*event == Event::kLine) return TellStranger(line);
  }
}

absl::StatusOr<RecordInput::Event> CopyInput::NextMessage() {
  while (true) {
    const absl::StatusOr<MergedLogs::State> state = merged_.Next();
    if (!state.ok()) return state.status();
    if (*state == MergedLogs::State::kNotReady) return Event::kNotReady;
    if (*state == MergedLogs::State::kEnd) return Event::kEnd;
    const FrameView* const frame = merged_.frame();
    const uint64_t records = frame == nullptr ? 1 : frame->record_count();
    if (position_ + records <= start_) {
      position_ += records;
      continue;
    }
    if (frame == nullptr) return Event::kLine;
    cursor_ = frame->records();
    return Event::kRecord;
  }
}

absl::StatusOr<bool> CopyInput::NextRecord() {
  do {
    if (!cursor_->Next(&record_)) {
      if (cursor_->status().ok()) return false;
      const Message& message = merged_.message();
      return absl::DataLossError(StrCat("message ", message.sequence, " of ", message.subject, ": ",
                                        ToStd(cursor_->status().message())));
    }
    ++position_;
  } while (position_ <= start_);
  return true;
}

RecordInput::Event CopyInput::TellRecord(InputLine* line) {
  *line = InputLine();
  line->begin = position_ - 1;
  line->end = position_;
  line->record = &record_;
  if (record_.time_ms == kNoTime) record_.time_ms = BrokerTimeMs(merged_.message());
  const absl::StatusOr<std::string_view> key = key_.Take(record_);
  if (key.ok()) {
    record_.key = *key;
    return Event::kRecord;
  }
  error_ = ToStd(key.status().message());
  line->error = error_;
  return Event::kBadRecord;
}

RecordInput::Event CopyInput::TellStranger(InputLine* line) {
  const Message& message = merged_.message();
  *line = InputLine();
  line->begin = position_++;
  line->end = position_;
  line->text = message.payload;
  line->text_bytes = message.payload.size();
  line->time_ms = BrokerTimeMs(message);
  const absl::StatusOr<KeyExtractor::Decoded> decoded = old_keys_->Decode(message.payload);
  if (!decoded.ok()) return Event::kLine;  // no record: the copy finds so, too
  const PartitionId home = PartitionOf(decoded->record.key, static_cast<uint32_t>(what_.size()));
  if (home == merged_.partition()) return Event::kLine;
  error_ = StrCat("its key belongs to partition ", home.value(),
                  " of the job that is copied, and it stood in ", merged_.partition().value());
  line->error = error_;
  return Event::kBadRecord;
}

absl::StatusOr<RecordInput::Event> CopyInput::Finish() {
  if (position_ < start_) {
    return absl::DataLossError(
        StrCat("the logs hold ", position_, " records, and ", start_, " were copied from them before"));
  }
  const absl::Status same = CheckLogs(bus_, what_);
  if (absl::IsUnavailable(same) || absl::IsDeadlineExceeded(same)) return Event::kNotReady;
  if (!same.ok()) return same;
  return Event::kEnd;
}

}  // namespace millrace
