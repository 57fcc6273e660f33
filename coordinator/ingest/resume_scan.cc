#include "coordinator/ingest/resume_scan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/cluster/log_begin.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/ingest/rejected_line.h"

namespace millrace {
namespace {

uint64_t SizeOf(const Message& message) { return message.header.size() + message.payload.size(); }

}  // namespace

ResumeScan::ResumeScan(Bus& bus, Job job, Epoch epoch)
    : bus_(bus), job_(std::move(job)), epoch_(epoch), found_(job_.partitions) {
  for (uint32_t p = 0; p < job_.partitions; ++p) unopened_.push_back(p);
  if (job_.trims_log) epochs_.emplace(bus_, kEpochsBucket);
}

ResumeScan::~ResumeScan() {
  for (const auto& [reader, scan] : scans_) bus_.CloseReader(reader);
  if (letters_reader_ != 0) bus_.CloseReader(letters_reader_);
}

absl::Status ResumeScan::Advance() {
  const absl::StatusOr<bool> knows = KnowsBegins();
  if (!knows.ok() || !*knows) return knows.status();
  while (!unopened_.empty() && scans_.size() < kMaxOpenReaders) {
    const uint32_t partition = unopened_.front();
    unopened_.pop_front();
    if (absl::Status opened = Open(partition); !opened.ok()) return opened;
  }
  if (settled_ == found_.size() && letters_ == Letters::kWaiting) return BeginLetters();
  return absl::OkStatus();
}

absl::StatusOr<bool> ResumeScan::KnowsBegins() {
  if (!epochs_.has_value() || unopened_.empty()) return true;
  return epochs_caught_up_.IsWhole(bus_, *epochs_);
}

absl::Status ResumeScan::Open(uint32_t partition) {
  Scan scan{partition, WriterCursors(job_.uid), Offset()};
  if (epochs_.has_value()) {
    const auto begin = FindLogBegin(epochs_->entries(), job_.uid, kFirstSegment, PartitionId(partition));
    if (!begin.ok()) return begin.status();
    if (begin->has_value()) {
      scan.cursors = (*begin)->cursors;
      scan.begin = (*begin)->offset;
    }
  }
  const auto trimmed = trimmed_.find(partition);
  if (trimmed != trimmed_.end() && scan.begin <= trimmed->second.begin) return trimmed->second.error;
  const absl::StatusOr<bool> settled = Settle(scan);
  if (!settled.ok() || *settled) return settled.status();
  ReaderOptions options;
  options.stream = InputStream(job_.name, kFirstSegment, PartitionId(partition));
  options.start_sequence = scan.begin.value() + 1;
  options.headers_only = true;
  options.name_hint = StrCat(job_.writer, "-", partition, "-", epoch_.value());
  scans_.emplace(bus_.OpenReader(options), std::move(scan));
  return absl::OkStatus();
}

absl::Status ResumeScan::BeginLetters() {
  const absl::StatusOr<uint64_t> last = LastLetter(bus_, job_.name);
  if (!last.ok()) return last.status();
  letters_end_ = *last;
  if (letters_end_ == 0) {
    letters_ = Letters::kDone;
    return absl::OkStatus();
  }
  ReaderOptions options;
  options.stream = DeadLetterStream(job_.name);
  options.allow_gaps = true;  // letters that were dealt with are deleted
  options.name_hint = StrCat(job_.writer, "-dead-", epoch_.value());
  letters_reader_ = bus_.OpenReader(options);
  letters_ = Letters::kReading;
  return absl::OkStatus();
}

absl::Status ResumeScan::Handle(const BusEvent& event) {
  if (epochs_.has_value() && epochs_->Handle(event)) return absl::OkStatus();
  const auto scan = scans_.find(event.reader);
  const bool letter = letters_ == Letters::kReading && event.reader == letters_reader_;
  if (event.type == BusEvent::Type::kReaderError) {
    if (letter) return event.status;
    if (scan == scans_.end()) return absl::OkStatus();
    const Scan failed = std::move(scan->second);
    scans_.erase(scan);  // the bus has closed the reader
    return HandleInputError(failed, event.status);
  }
  if (event.type != BusEvent::Type::kMessage) return absl::OkStatus();
  if (letter) {
    HandleLetter(event.message);
    return absl::OkStatus();
  }
  return scan == scans_.end() ? absl::OkStatus() : HandleInput(event.reader, scan->second, event.message);
}

// A log is trimmed after its new beginning was noted: what the bucket holds from now on has that note.
absl::Status ResumeScan::HandleInputError(const Scan& scan, const absl::Status& error) {
  if (!epochs_.has_value() || !absl::IsDataLoss(error)) return error;
  trimmed_[scan.partition] = {scan.begin, error};
  unopened_.push_back(scan.partition);
  epochs_.emplace(bus_, kEpochsBucket);
  epochs_caught_up_ = CatchUp();
  return absl::OkStatus();
}

absl::Status ResumeScan::HandleInput(ReaderId reader, Scan& scan, const Message& message) {
  bus_.Grant(reader, 1, SizeOf(message));
  const auto header = ReadMessageHeader(message.header);
  if (!header.ok()) {
    return absl::DataLossError(StrCat("input message ", message.sequence, " of partition ", scan.partition,
                                      ": ", ToStd(header.status().message())));
  }
  if (!header->has_value()) return absl::OkStatus();  // a stranger's
  scan.cursors.Offer(**header);
  const absl::StatusOr<bool> settled = Settle(scan);
  if (!settled.ok() || !*settled) return settled.status();
  bus_.CloseReader(reader);
  scans_.erase(reader);
  return absl::OkStatus();
}

absl::StatusOr<bool> ResumeScan::Settle(const Scan& scan) {
  const WriterCursors::Cursor cursor = scan.cursors.Get(job_.writer);
  if (cursor.epoch > epoch_) return absl::AbortedError("another submit of this job took over");
  if (cursor.epoch < epoch_) return false;
  found_[scan.partition] = {cursor.mark, cursor.records, cursor.ended};
  ++settled_;
  return true;
}

// Letters come in order of position but for those that were told twice; the greatest number of those that
// lie before rejects_start() is how many there were.
void ResumeScan::HandleLetter(const Message& message) {
  bus_.Grant(letters_reader_, 1, SizeOf(message));
  const auto letter = DecodeRejectedLine(job_.uid, job_.writer, message.payload);
  if (letter.has_value() && letter->position < rejects_start()) {
    rejected_ = std::max(rejected_, letter->number);
  }
  if (message.sequence < letters_end_) return;
  bus_.CloseReader(letters_reader_);
  letters_reader_ = 0;
  letters_ = Letters::kDone;
}

uint64_t ResumeScan::rejects_start() const {
  // The first partition is the one whose frames wait for the letters before them.
  const Found& first = found_.front();
  return first.ended ? std::numeric_limits<uint64_t>::max() : first.mark.offset;
}

std::optional<uint64_t> ResumeScan::start() const {
  std::optional<uint64_t> start;
  for (const Found& found : found_) {
    if (!found.ended) start = std::min(start.value_or(found.mark.offset), found.mark.offset);
  }
  return start;
}

}  // namespace millrace
