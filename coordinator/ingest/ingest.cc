#include "coordinator/ingest/ingest.h"

#include <algorithm>
#include <utility>

#include "common/cluster/documents.h"
#include "common/failpoint.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "coordinator/ingest/rejected_line.h"

namespace millrace {
namespace {

constexpr uint32_t kLettersPartition = 0;  // whose frames wait for the dead letters before them
constexpr size_t kMaxInputPoints = 8;
constexpr absl::Duration kNoteInterval = absl::Seconds(1);
constexpr absl::Duration kKeyRetry = absl::Milliseconds(200);

std::vector<std::string> Subjects(const IngestOptions& options) {
  std::vector<std::string> subjects;
  for (uint32_t p = 0; p < options.partitions; ++p) {
    subjects.push_back(InputSubject(options.job, kFirstSegment, PartitionId(p)));
  }
  return subjects;
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

Ingest::Ingest(IngestOptions options, Bus& bus, Clock& clock, RecordInput& input, KeyExtractor& extractor)
    : options_(std::move(options)),
      bus_(bus),
      clock_(clock),
      input_(input),
      extractor_(extractor),
      appender_(bus, clock, Subjects(options_),
                DeadLetterSubject(options_.job, kFirstSegment, PartitionId(kLettersPartition)),
                options_.append),
      feeds_(options_.partitions),
      claim_started_at_(clock.Monotonic()) {}

void Ingest::Fail(absl::Status status) {
  status_ = std::move(status);
  phase_ = Phase::kFailed;
}

void Ingest::Handle(const BusEvent& event) {
  if (done()) return;
  if (const absl::Status appended = appender_.Handle(event); !appended.ok()) return Fail(appended);
  if (!scan_.has_value()) return;
  if (const absl::Status scanned = scan_->Handle(event); !scanned.ok()) Fail(scanned);
}

bool Ingest::Pump() {
  if (done()) return false;
  if (const absl::Status ticked = appender_.Tick(); !ticked.ok()) {
    Fail(ticked);
    return false;
  }
  switch (phase_) {
    case Phase::kClaim:
      return Claim();
    case Phase::kMark:
      MarkEpoch();
      return true;
    case Phase::kResume:
      return Resume();
    case Phase::kFeed:
      return FeedSome();
    case Phase::kEnd:
      return Finish();
    case Phase::kDone:
    case Phase::kFailed:
      break;
  }
  return false;
}

// Epochs are claimed without holes: each ingest takes the first that nobody has.
bool Ingest::Claim() {
  if (clock_.Monotonic() < retry_at_) return false;
  const Epoch next = epoch_.Next();
  const absl::StatusOr<uint64_t> made =
      bus_.CreateKey(kEpochsBucket, EpochKey(options_.uid, options_.writer, next), options_.claimer);
  if (MayPass(made.status()) && clock_.Monotonic() - claim_started_at_ < options_.append.patience) {
    retry_at_ = clock_.Monotonic() + kKeyRetry;
    return false;
  }
  if (!made.ok() && !absl::IsAlreadyExists(made.status())) {
    Fail(made.status());
    return false;
  }
  epoch_ = next;
  if (made.ok()) {
    MILLRACE_FAILPOINT("ingest_after_claim");
    phase_ = Phase::kMark;
  }
  return true;
}

void Ingest::MarkEpoch() {
  for (uint32_t p = 0; p < options_.partitions; ++p) PushMark(p, FrameKind::kEpoch);
  bus_.Flush();
  MILLRACE_FAILPOINT("ingest_after_epoch_marks");
  phase_ = Phase::kResume;
  // The first epoch's streams hold nothing of any ingest.
  if (epoch_ > Epoch(1)) {
    scan_.emplace(
        bus_,
        ResumeScan::Job{options_.job, options_.uid, options_.writer, options_.partitions, options_.trims_log},
        epoch_);
  }
}

bool Ingest::Resume() {
  phase_ = Phase::kFeed;
  up_to_date_at_ = clock_.Monotonic();
  if (!scan_.has_value()) return true;
  if (const absl::Status advanced = scan_->Advance(); !advanced.ok()) {
    Fail(advanced);
    return false;
  }
  if (!scan_->done()) {
    phase_ = Phase::kResume;
    return false;
  }
  if (!RecallInput()) {
    if (!done()) phase_ = Phase::kResume;
    return false;
  }
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    const ResumeScan::Found& found = scan_->found()[p];
    feeds_[p].mark = found.mark;
    feeds_[p].records = found.records;
    feeds_[p].ended = found.ended;
    records_ += found.records;
  }
  rejected_ = scan_->rejected();
  rejects_start_ = scan_->rejects_start();
  const std::optional<uint64_t> start = scan_->start();
  scan_.reset();
  if (!start.has_value()) {
    phase_ = Phase::kEnd;
    return true;
  }
  resumed_from_ = position_ = taken_position_ = *start;
  input_.StartAt(*start);
  return true;
}

// A pipe cannot be told from another by its first lines alone: it must have the digest that was noted where
// it was read to before.
bool Ingest::RecallInput() {
  if (clock_.Monotonic() < retry_at_) return false;
  const absl::StatusOr<KeyValue> there =
      bus_.GetKey(kEpochsBucket, InputReadKey(options_.uid, options_.writer));
  if (absl::IsNotFound(there.status())) return true;
  if (MayPass(there.status())) {
    retry_at_ = clock_.Monotonic() + kKeyRetry;
    return false;
  }
  const absl::StatusOr<InputRead> read = there.ok() ? DecodeInputRead(there->value) : there.status();
  if (!read.ok()) {
    Fail(read.status());
    return false;
  }
  read_ = *read;
  input_.Expect(read_.points);
  return true;
}

void Ingest::NoteInput() {
  const absl::Duration now = clock_.Monotonic();
  const std::optional<InputPoint> point = input_.point();
  if (now < note_at_ || !point.has_value() || point->position == 0) return;
  // An ingest that reads again what was fed before has nothing to add.
  if (!read_.points.empty() && point->position <= read_.points.back().position) return;
  note_at_ = now + kNoteInterval;
  if (read_.points.size() == kMaxInputPoints) read_.points.erase(read_.points.begin() + 1);
  read_.points.push_back(*point);
  // Without it the next ingest compares less: no reason to stop.
  bus_.PutKey(kEpochsBucket, InputReadKey(options_.uid, options_.writer), Encode(read_)).IgnoreError();
}

bool Ingest::FeedSome() {
  if (clock_.Monotonic() - up_to_date_at_ >= options_.mark_interval) BringUpToDate();
  if (crowded_.has_value() && appender_.HasRoom(*crowded_)) crowded_.reset();
  for (int i = 0; i < kLinesPerPump; ++i) {
    if (done() || crowded_.has_value() || !appender_.HasRoom()) return false;
    InputLine line;
    const absl::StatusOr<RecordInput::Event> event = input_.Next(&line);
    if (!event.ok()) {
      Fail(event.status());
      return false;
    }
    switch (*event) {
      case RecordInput::Event::kHeader:
        if (const absl::Status set = extractor_.SetCsvHeader(line.text); !set.ok()) {
          Fail(set);
          return false;
        }
        continue;
      case RecordInput::Event::kTooLong:
        Reject(line, StrCat("line of ", line.text_bytes, " bytes is over max_record"));
        break;
      case RecordInput::Event::kLine:
        if (!FeedLine(line)) return false;
        break;
      case RecordInput::Event::kRecord:
        if (!FeedRecord(line, *line.record)) return false;
        break;
      case RecordInput::Event::kBadRecord:
        Reject(line, line.error);
        break;
      case RecordInput::Event::kNotReady:
        if (open_bytes_ > 0 && clock_.Monotonic() - open_since_ >= options_.linger) {
          CloseAllFrames();
          NoteInput();
        }
        bus_.Flush();
        return false;
      case RecordInput::Event::kEnd:
        EndInput();
        return true;
    }
    position_ = std::max(position_, line.end);
  }
  return true;
}

bool Ingest::FeedLine(const InputLine& line) {
  const absl::StatusOr<KeyExtractor::Decoded> decoded = extractor_.Decode(line.text);
  if (!decoded.ok()) {
    Reject(line, ToStd(decoded.status().message()));
    return true;
  }
  RecordView record = decoded->record;
  record.raw_headers = line.raw_headers;
  return FeedRecord(line, record);
}

// What is fed beside a source says nothing of event time.
void Ingest::RaiseWatermark(int64_t record_time_ms) {
  if (options_.writer != kIngestWriter) return;
  watermark_ms_ = std::max(watermark_ms_, input_.watermark_ms().value_or(record_time_ms));
}

bool Ingest::FeedRecord(const InputLine& line, RecordView record) {
  if (record.time_ms == kNoTime) record.time_ms = line.time_ms;
  if (FrameBytesOf(record) > options_.max_message_bytes) {
    const size_t bytes = line.record != nullptr ? record.value.size() : line.text_bytes;
    Reject(line, StrCat("record of ", bytes + record.raw_headers.size(),
                        " bytes is over what the NATS server takes in a message — "
                        "raise its max_payload"));
    return true;
  }
  const uint32_t p = PartitionOf(record.key, options_.partitions).value();
  Feed& feed = feeds_[p];
  RaiseWatermark(record.time_ms);
  if (line.end <= feed.mark.offset) return true;  // fed by an earlier ingest
  if (feed.ended) {
    Fail(absl::FailedPreconditionError(
        "the input is longer than what was fed before — submit it as a new job, with --name"));
    return false;
  }
  Add(p, record);
  return true;
}

void Ingest::Reject(const InputLine& line, std::string_view error) {
  if (line.end <= rejects_start_) return;
  const std::string shown = line.record != nullptr ? RejectedText(*line.record) : "";
  RejectedLine rejected;
  rejected.job = options_.job;
  rejected.uid = options_.uid;
  rejected.writer = options_.writer;
  rejected.position = line.begin;
  rejected.text = line.record != nullptr ? shown : line.text;
  rejected.text_bytes = line.record != nullptr ? shown.size() : line.text_bytes;
  rejected.error = error;
  rejected.number = ++rejected_;
  PendingAppend append;
  append.kind = PendingAppend::Kind::kDeadLetter;
  append.payload = EncodeRejectedLine(rejected);
  append.message_id = RejectedLineMessageId(options_.uid, options_.writer, line.begin);
  Push(kLettersPartition, std::move(append));
}

void Ingest::EndInput() {
  position_ = input_.position();
  RaiseWatermark(kNoTime);
  CloseAllFrames();
  MILLRACE_FAILPOINT("ingest_before_end_marks");
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    if (feeds_[p].ended) continue;
    PushMark(p, FrameKind::kEnd);
    if (p == 0) {
      bus_.Flush();
      MILLRACE_FAILPOINT("ingest_between_end_marks");
    }
  }
  bus_.Flush();
  phase_ = Phase::kEnd;
}

bool Ingest::Finish() {
  if (!appender_.idle() || clock_.Monotonic() < retry_at_) return false;
  // All is confirmed. What a later ingest has marked cannot lie before it if none has claimed an epoch yet.
  if (LookForLater() != Standing::kNewest) return false;
  MILLRACE_FAILPOINT("ingest_before_fed");
  const InputFed fed = {records_, rejected_, epoch_.value(), input_.point().value_or(InputPoint())};
  const absl::Status made =
      bus_.CreateKey(kAssignmentsBucket, FedKey(options_.uid, options_.writer), Encode(fed)).status();
  if (MayPass(made)) {
    retry_at_ = clock_.Monotonic() + kKeyRetry;
  } else if (made.ok() || absl::IsAlreadyExists(made)) {
    phase_ = Phase::kDone;
  } else {
    Fail(made);
  }
  return false;
}

Ingest::Standing Ingest::LookForLater() {
  const absl::Status next =
      bus_.GetKey(kEpochsBucket, EpochKey(options_.uid, options_.writer, epoch_.Next())).status();
  if (next.ok()) {
    Fail(
        absl::AbortedError("another submit of this job took over — let it finish, or look at its state with "
                           "`coordinator status`"));
    return Standing::kSuperseded;
  }
  if (absl::IsNotFound(next)) return Standing::kNewest;
  retry_at_ = clock_.Monotonic() + kKeyRetry;
  return Standing::kUnknown;
}

}  // namespace millrace
