#include "coordinator/ingest/resume_scan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/names.h"
#include "common/strings.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/ingest/rejected_line.h"

namespace millrace {
namespace {

uint64_t SizeOf(const Message& message) { return message.header.size() + message.payload.size(); }

}  // namespace

ResumeScan::ResumeScan(Bus& bus, std::string job, std::string uid, Epoch epoch, uint32_t partitions)
    : bus_(bus), job_(std::move(job)), uid_(std::move(uid)), epoch_(epoch), found_(partitions) {}

ResumeScan::~ResumeScan() {
  for (const auto& [reader, scan] : scans_) bus_.CloseReader(reader);
  if (letters_reader_ != 0) bus_.CloseReader(letters_reader_);
}

absl::Status ResumeScan::Advance() {
  while (next_partition_ < found_.size() && scans_.size() < kMaxOpenReaders) {
    ReaderOptions options;
    options.stream = InputStream(job_, kFirstSegment, PartitionId(next_partition_));
    options.headers_only = true;
    options.name_hint = StrCat("in-", next_partition_, "-", epoch_.value());
    scans_.emplace(bus_.OpenReader(options), Scan{next_partition_, WriterCursors(uid_)});
    ++next_partition_;
  }
  if (partitions_done_ == found_.size() && letters_ == Letters::kWaiting) return BeginLetters();
  return absl::OkStatus();
}

absl::Status ResumeScan::BeginLetters() {
  const absl::StatusOr<uint64_t> last = LastLetter(bus_, job_);
  if (!last.ok()) return last.status();
  letters_end_ = *last;
  if (letters_end_ == 0) {
    letters_ = Letters::kDone;
    return absl::OkStatus();
  }
  ReaderOptions options;
  options.stream = DeadLetterStream(job_);
  options.allow_gaps = true;  // letters that were dealt with are deleted
  options.name_hint = StrCat("in-dead-", epoch_.value());
  letters_reader_ = bus_.OpenReader(options);
  letters_ = Letters::kReading;
  return absl::OkStatus();
}

absl::Status ResumeScan::Handle(const BusEvent& event) {
  const auto scan = scans_.find(event.reader);
  const bool letter = letters_ == Letters::kReading && event.reader == letters_reader_;
  if (event.type == BusEvent::Type::kReaderError && (letter || scan != scans_.end())) return event.status;
  if (event.type != BusEvent::Type::kMessage) return absl::OkStatus();
  if (letter) {
    HandleLetter(event.message);
    return absl::OkStatus();
  }
  return scan == scans_.end() ? absl::OkStatus() : HandleInput(event.reader, scan->second, event.message);
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
  const WriterCursors::Cursor cursor = scan.cursors.Get(kIngestWriter);
  if (cursor.epoch > epoch_) return absl::AbortedError("another submit of this job took over");
  if (cursor.epoch < epoch_) return absl::OkStatus();
  found_[scan.partition] = {cursor.mark, cursor.records, cursor.ended};
  ++partitions_done_;
  bus_.CloseReader(reader);
  scans_.erase(reader);
  return absl::OkStatus();
}

// Letters come in order of position but for those that were told twice; the greatest number of those that
// lie before rejects_start() is how many there were.
void ResumeScan::HandleLetter(const Message& message) {
  bus_.Grant(letters_reader_, 1, SizeOf(message));
  const auto letter = DecodeRejectedLine(uid_, message.payload);
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
