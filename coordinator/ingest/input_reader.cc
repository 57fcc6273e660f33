#include "coordinator/ingest/input_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMostLineEndBytes = 2;  // CRLF

}  // namespace

absl::StatusOr<std::unique_ptr<InputReader>> InputReader::Open(const std::vector<std::string>& names,
                                                               const InputOptions& options) {
  if (std::count(names.begin(), names.end(), kStandardInput) > 1) {
    return absl::InvalidArgumentError("input -: standard input can be read once only");
  }
  SourceOptions source_options;
  source_options.identifying_lines = options.has_header ? 2 : 1;
  source_options.keep_waiting = options.keep_waiting;
  std::vector<std::unique_ptr<ByteSource>> sources;
  for (const std::string& name : names) {
    absl::StatusOr<std::unique_ptr<ByteSource>> source = ByteSource::Open(name, source_options);
    if (!source.ok()) return source.status();
    sources.push_back(*std::move(source));
  }
  return std::unique_ptr<InputReader>(new InputReader(std::move(sources), options));
}

InputReader::InputReader(std::vector<std::unique_ptr<ByteSource>> sources, const InputOptions& options)
    : sources_(std::move(sources)),
      options_(options),
      header_due_(options.has_header),
      buffer_(options.max_line_bytes + kMostLineEndBytes + kReadBytes) {}

std::vector<InputFile> InputReader::Identities() const {
  std::vector<InputFile> identities;
  for (const auto& source : sources_) identities.push_back(source->Identity());
  return identities;
}

uint64_t InputReader::total_bytes() const {
  uint64_t total = 0;
  for (const auto& source : sources_) {
    if (!source->SizeIsKnown()) return 0;
    total += source->Identity().bytes;
  }
  return total;
}

absl::StatusOr<InputReader::Event> InputReader::Next(InputLine* line) {
  while (current_ < sources_.size()) {
    if (!header_due_ && position_ < options_.start) {
      const absl::StatusOr<Filled> skipped = SkipToStart();
      if (!skipped.ok()) return skipped.status();
      if (*skipped == Filled::kNotReady) return Event::kNotReady;
      if (*skipped == Filled::kEnd) {
        NextSource();
        continue;
      }
    }
    const absl::StatusOr<Event> event = NextOfSource(line);
    if (absl::Status same = CheckExpectations(); !same.ok()) return same;
    if (!event.ok() || *event == Event::kNotReady) return event;
    if (*event == Event::kEnd) {
      NextSource();
    } else if (line->text_bytes > 0) {
      if (!header_due_) return event;
      header_due_ = false;
      return *event == Event::kTooLong ? event : Event::kHeader;
    }
  }
  if (position_ >= options_.start) return Event::kEnd;
  return absl::FailedPreconditionError(
      StrCat("the input has ", position_, " bytes, but ", options_.start,
             " were fed before — give it whole again, or submit it as a new job with --name"));
}

std::optional<InputPoint> InputReader::point() const {
  const bool plain = current_ < sources_.size()
                         ? sources_[current_]->SizeIsKnown()
                         : std::all_of(sources_.begin(), sources_.end(),
                                       [](const auto& source) { return source->SizeIsKnown(); });
  if (plain) return std::nullopt;
  if (long_line_.bytes > 0) return std::nullopt;
  return InputPoint{position_, digest_};
}

absl::Status InputReader::CheckExpectations() const {
  if (!differs_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("the input differs from what was fed before, somewhere in its first ",
             expected_[next_expected_ - 1].position,
             " bytes — give the same input again, or submit this one as a new job with --name"));
}

absl::StatusOr<std::optional<std::string>> InputReader::PeekFirstLine() {
  while (true) {
    const std::string_view read(buffer_.data() + begin_, end_ - begin_);
    const size_t first = read.find_first_not_of("\r\n");
    const size_t line_end = first == std::string_view::npos ? first : read.find('\n', first);
    const auto line = [&](size_t length) {
      std::string text(read.substr(first, length));
      if (text.ends_with('\r')) text.pop_back();
      return std::optional<std::string>(std::move(text));
    };
    if (line_end != std::string_view::npos) return line(line_end - first);
    if (read.size() > options_.max_line_bytes) return std::optional<std::string>();
    const absl::StatusOr<Filled> filled = Fill();
    if (!filled.ok()) return filled.status();
    if (*filled == Filled::kBytes) continue;
    if (*filled == Filled::kNotReady || first == std::string_view::npos) return std::optional<std::string>();
    return line(read.size() - first);
  }
}

absl::StatusOr<InputReader::Filled> InputReader::SkipToStart() {
  ByteSource& source = *sources_[current_];
  if (source.SizeIsKnown()) {
    const uint64_t to = std::min(options_.start, source_start_ + source.Identity().bytes);
    if (absl::Status sought = source.Seek(to - source_start_); !sought.ok()) return sought;
    begin_ = scanned_ = end_ = 0;
    position_ = to;
    return to < options_.start ? Filled::kEnd : Filled::kBytes;
  }
  while (position_ < options_.start) {
    const bool compares = next_expected_ < expected_.size();
    const uint64_t to =
        compares ? std::min(options_.start, expected_[next_expected_].position) : options_.start;
    Consume(std::min<uint64_t>(end_ - begin_, to - position_));
    if (absl::Status same = CheckExpectations(); !same.ok()) return same;
    if (position_ == options_.start) break;
    if (begin_ < end_) continue;
    const absl::StatusOr<Filled> filled = Fill();
    if (!filled.ok() || *filled != Filled::kBytes) return filled;
  }
  return Filled::kBytes;
}

absl::StatusOr<InputReader::Filled> InputReader::Fill() {
  if (!sources_[current_]->Ready()) return Filled::kNotReady;
  if (buffer_.size() - end_ < kReadBytes / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  const size_t room = std::min(kReadBytes, buffer_.size() - end_);
  const absl::StatusOr<size_t> n = sources_[current_]->Read(buffer_.data() + end_, room);
  if (!n.ok()) return n.status();
  end_ += *n;
  return *n == 0 ? Filled::kEnd : Filled::kBytes;
}

absl::StatusOr<InputReader::Event> InputReader::NextOfSource(InputLine* line) {
  while (true) {
    const char* const from = buffer_.data() + scanned_;
    if (const void* newline = std::memchr(from, '\n', end_ - scanned_); newline != nullptr) {
      const size_t length = static_cast<const char*>(newline) - (buffer_.data() + begin_);
      return TakeLine(length, 1, line);
    }
    scanned_ = end_;
    if (end_ - begin_ > options_.max_line_bytes + kMostLineEndBytes || long_line_.bytes > 0) {
      DropPartOfLongLine();
    }
    const absl::StatusOr<Filled> filled = Fill();
    if (!filled.ok()) return filled.status();
    if (*filled == Filled::kNotReady) return Event::kNotReady;
    if (*filled == Filled::kBytes) continue;
    if (begin_ == end_ && long_line_.bytes == 0) return Event::kEnd;
    return TakeLine(end_ - begin_, 0, line);  // the last line, without its newline
  }
}

void InputReader::DropPartOfLongLine() {
  if (begin_ == end_) return;
  if (long_line_.bytes == 0) {
    long_line_.begin = position_;
    long_line_.head.assign(buffer_.data() + begin_, std::min(end_ - begin_, kLongLineHeadBytes));
  }
  long_line_.bytes += end_ - begin_;
  long_line_.ends_with_cr = buffer_[end_ - 1] == '\r';
  Consume(end_ - begin_);
}

InputReader::Event InputReader::TakeLine(size_t length, size_t line_end_bytes, InputLine* line) {
  std::string_view text(buffer_.data() + begin_, length);
  line->begin = position_;
  line->text_bytes = length;
  if (text.ends_with('\r') || (length == 0 && long_line_.ends_with_cr)) --line->text_bytes;
  Consume(length + line_end_bytes);
  line->end = position_;
  if (long_line_.bytes > 0) {
    line->begin = long_line_.begin;
    line->text_bytes += long_line_.bytes;
    line->text = long_line_.head;
    long_line_.bytes = 0;
    long_line_.ends_with_cr = false;
    return Event::kTooLong;
  }
  line->text = text.substr(0, line->text_bytes);
  if (line->text_bytes <= options_.max_line_bytes) return Event::kLine;
  line->text = line->text.substr(0, kLongLineHeadBytes);
  return Event::kTooLong;
}

void InputReader::Consume(size_t bytes) {
  if (!sources_[current_]->SizeIsKnown()) {
    digest_ = static_cast<uint32_t>(
        crc32_z(digest_, reinterpret_cast<const Bytef*>(buffer_.data() + begin_), bytes));
  }
  const uint64_t behind = position_ + bytes;
  for (; next_expected_ < expected_.size() && expected_[next_expected_].position <= behind;
       ++next_expected_) {
    // A line that goes on beyond a place where one ended is another line.
    const InputPoint& expected = expected_[next_expected_];
    if (expected.position < behind || expected.digest != digest_) {
      differs_ = true;
      expected_.resize(++next_expected_);
      break;
    }
  }
  begin_ += bytes;
  scanned_ = begin_;
  position_ += bytes;
  // An empty buffer is read into from its start. The bytes just consumed stay readable until the next Fill.
  if (begin_ == end_) begin_ = scanned_ = end_ = 0;
}

void InputReader::NextSource() {
  ++current_;
  source_start_ = position_;
  header_due_ = options_.has_header;
  begin_ = scanned_ = end_ = 0;
}

}  // namespace millrace
