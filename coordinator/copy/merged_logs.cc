#include "coordinator/copy/merged_logs.h"

#include <algorithm>

#include "common/strings.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

MergedLogs::MergedLogs(const std::string& uid, const std::vector<CopiedLog>& logs, Bus& bus) : bus_(bus) {
  logs_.reserve(logs.size());
  for (const CopiedLog& log : logs) logs_.emplace_back(log, uid);
}

MergedLogs::~MergedLogs() {
  for (Log& log : logs_) CloseReader(log);
}

void MergedLogs::OpenReader(size_t index) {
  Log& log = logs_[index];
  const auto readers = static_cast<uint32_t>(logs_.size());
  ReaderOptions options;
  options.stream = log.what.stream;
  options.start_sequence = log.received + 1;
  options.name_hint = "copy";
  options.window_messages =
      std::clamp(kMergeWindowMessages / readers, kMinMergeWindowMessages, ReaderOptions().window_messages);
  options.window_bytes =
      std::clamp(kMergeWindowBytes / readers, kMinMergeWindowBytes, ReaderOptions().window_bytes);
  log.reader = bus_.OpenReader(options);
  by_reader_[*log.reader] = index;
}

void MergedLogs::CloseReader(Log& log) {
  if (!log.reader.has_value()) return;
  by_reader_.erase(*log.reader);
  bus_.CloseReader(*log.reader);
  log.reader.reset();
}

bool MergedLogs::Handle(BusEvent& event) {
  const auto found = by_reader_.find(event.reader);
  if (found == by_reader_.end()) return false;
  const size_t index = found->second;
  if (event.type == BusEvent::Type::kMessage) {
    HandleMessage(index, std::move(event.message));
    return true;
  }
  if (event.type != BusEvent::Type::kReaderError) return false;
  by_reader_.erase(found);  // the bus has closed it
  logs_[index].reader.reset();
  HandleReaderError(index, event.status);
  return true;
}

void MergedLogs::HandleMessage(size_t index, Message message) {
  Log& log = logs_[index];
  if (message.sequence <= log.received || log.received >= log.what.last) return;
  log.reopens = 0;
  log.received = message.sequence;
  log.waiting.push_back(std::move(message));
  if (log.received >= log.what.last) CloseReader(log);
  if (log.waiting.size() > 1) return;
  --awaited_;
  AddHead(index);
}

void MergedLogs::HandleReaderError(size_t index, const absl::Status& status) {
  Log& log = logs_[index];
  if (absl::IsDataLoss(status)) {
    error_ = status;  // another reader would know nothing of the stream that this one had begun with
  } else if (absl::IsNotFound(status)) {
    error_ = absl::DataLossError(StrCat("the log ", log.what.stream, " is gone"));
  } else if (++log.reopens > kMaxStreamReopens) {
    error_ = status;
  } else {
    OpenReader(index);
  }
}

void MergedLogs::AddHead(size_t index) {
  Log& log = logs_[index];
  log.log_time_ns = std::max(log.log_time_ns, log.waiting.front().time_ns);
  heads_.emplace(log.log_time_ns, index);
}

absl::StatusOr<MergedLogs::State> MergedLogs::Next() {
  if (!opened_) {
    opened_ = true;
    for (size_t i = 0; i < logs_.size(); ++i) {
      ++unfinished_;
      watermarks_.insert(kNoTime);
      if (logs_[i].what.last == 0) {
        FinishLog(logs_[i]);
      } else {
        ++awaited_;
        OpenReader(i);
      }
    }
  }
  if (current_.has_value()) FinishCurrent();
  while (error_.ok() && unfinished_ > 0) {
    if (awaited_ > 0) return State::kNotReady;
    current_ = heads_.begin()->second;
    heads_.erase(heads_.begin());
    const absl::StatusOr<bool> counts = Judge();
    if (!counts.ok()) error_ = counts.status();
    if (counts.ok() && *counts) return State::kMessage;
    FinishCurrent();
  }
  if (!error_.ok()) return error_;
  return State::kEnd;
}

absl::StatusOr<bool> MergedLogs::Judge() {
  Log& log = logs_[*current_];
  const Message& read = log.waiting.front();
  const auto damaged = [&](const absl::Status& why) {
    return absl::DataLossError(
        StrCat("message ", read.sequence, " of the log ", log.what.stream, ": ", ToStd(why.message())));
  };
  const auto header = ReadMessageHeader(read.header);
  if (!header.ok()) return damaged(header.status());
  is_stranger_ = !header->has_value();
  if (is_stranger_) return true;
  const std::optional<InputJudge::Taken> taken = log.judge.Offer(**header);
  if (!taken.has_value()) return false;
  if (const absl::Status parsed = frame_.ParseInto(read.payload); !parsed.ok()) return damaged(parsed);
  log.watermark_behind_ms = log.judge.RaiseWatermark((*header)->writer, frame_.watermark_ms());
  log.ended = taken->ends_input;
  return frame_.kind() == FrameKind::kData && (*header)->writer != kRetryWriter && frame_.record_count() > 0;
}

void MergedLogs::FinishCurrent() {
  const size_t index = *current_;
  Log& log = logs_[index];
  current_.reset();
  watermarks_.erase(watermarks_.find(log.watermark_ms));
  log.watermark_ms = log.watermark_behind_ms;
  greatest_watermark_ms_ = std::max(greatest_watermark_ms_, log.watermark_ms);
  watermarks_.insert(log.watermark_ms);
  const Message read = std::move(log.waiting.front());
  log.waiting.pop_front();
  if (log.ended || read.sequence >= log.what.last) {
    FinishLog(log);
  } else if (log.waiting.empty()) {
    ++awaited_;
  } else {
    AddHead(index);
  }
  if (log.reader.has_value()) bus_.Grant(*log.reader, 1, read.payload.size());
  watermark_ms_ =
      std::max(watermark_ms_, watermarks_.empty() ? greatest_watermark_ms_ : *watermarks_.begin());
}

// It holds event time back no more.
void MergedLogs::FinishLog(Log& log) {
  watermarks_.erase(watermarks_.find(log.watermark_ms));
  log.waiting.clear();
  CloseReader(log);
  log.received = log.what.last;
  --unfinished_;
  if (!log.what.has_end || log.ended || !error_.ok()) return;
  error_ = absl::DataLossError(StrCat("the log ", log.what.stream, " lacks the mark that ends its input"));
}

}  // namespace millrace
