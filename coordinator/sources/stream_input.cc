#include "coordinator/sources/stream_input.h"

#include <utility>

#include "absl/time/time.h"
#include "common/pipeline/header_codec.h"

namespace millrace {
namespace {

constexpr uint32_t kGrantsPerWindow = 8;

}  // namespace

StreamInput::~StreamInput() {
  if (reader_.has_value()) bus_.CloseReader(*reader_);
}

void StreamInput::Open() {
  ReaderOptions options;
  options.stream = options_.stream;
  options.filter_subject = options_.subject;
  options.start_sequence = start_ + 1;
  options.allow_gaps = true;
  options.user_headers = true;
  options.name_hint = "source";
  options.window_messages = options_.window_messages;
  options.window_bytes = options_.window_bytes;
  reader_ = bus_.OpenReader(options);
}

bool StreamInput::Handle(BusEvent& event) {
  if (!reader_.has_value() || event.reader != *reader_) return false;
  if (event.type == BusEvent::Type::kMessage) {
    waiting_.push_back(std::move(event.message));
    return true;
  }
  if (event.type != BusEvent::Type::kReaderError) return false;
  error_ = event.status;
  reader_.reset();  // closed by itself
  return true;
}

absl::StatusOr<RecordInput::Event> StreamInput::Next(InputLine* line) {
  if (!reader_.has_value() && error_.ok()) Open();
  while (!waiting_.empty()) {
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
    position_ = current_.sequence;
    ++told_messages_;
    told_bytes_ += current_.payload.size();
    GrantBack();
    if (current_.payload.empty()) continue;
    line->begin = current_.sequence - 1;
    line->end = current_.sequence;
    line->text_bytes = current_.payload.size();
    line->time_ms = absl::ToUnixMillis(absl::FromUnixNanos(current_.time_ns));
    line->text = current_.payload;
    raw_headers_.clear();
    if (!current_.user_headers.empty()) EncodeHeaders(current_.user_headers, &raw_headers_);
    line->raw_headers = raw_headers_;
    if (line->text_bytes <= options_.max_record_bytes) return Event::kLine;
    line->text = line->text.substr(0, kLongLineHeadBytes);
    return Event::kTooLong;
  }
  if (!error_.ok()) return error_;
  return Event::kNotReady;
}

void StreamInput::GrantBack() {
  if (!reader_.has_value()) return;
  const bool much = told_messages_ >= options_.window_messages / kGrantsPerWindow ||
                    told_bytes_ >= options_.window_bytes / kGrantsPerWindow;
  if (!much && !waiting_.empty()) return;
  bus_.Grant(*reader_, told_messages_, told_bytes_);
  told_messages_ = 0;
  told_bytes_ = 0;
}

}  // namespace millrace
