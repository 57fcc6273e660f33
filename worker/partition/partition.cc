#include "worker/partition/partition.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/strings.h"
#include "worker/partition/bucket_pacer.h"
#include "worker/partition/cookie.h"
#include "worker/partition/look_ahead.h"

namespace millrace {
namespace {

constexpr absl::Duration kTickInterval = absl::Milliseconds(200);  // between two ticks for the same due time
// At most one part in so many of a lane's time goes to commits.
constexpr int kCommitTimeShare = 10;

// Messages that were applied are granted back to the reader by so many, or bytes, or when none is left: parts
// of its window that keep requests overlapping.
const uint32_t kGrantMessages = ReaderOptions().window_messages / 8;
const uint64_t kGrantBytes = ReaderOptions().window_bytes / 8;

// At most one part in so many of the time of the thread that stores checkpoints goes to those of one lane.
constexpr int kCheckpointTimeShare = 20;
constexpr absl::Duration kMaxCheckpointStretch = absl::Minutes(10);

}  // namespace

absl::StatusOr<std::unique_ptr<Partition>> Partition::Create(std::unique_ptr<OpenedPartition> opened,
                                                             PartitionPorts& ports, Bus& bus, Clock& clock,
                                                             const PartitionOptions& options) {
  const uint64_t version = CodeVersionOf(opened->input_cursors);
  Parts parts;
  parts.pacer = std::make_unique<BucketPacer>(clock);
  parts.calls = std::make_unique<PartitionCalls>(
      ports, clock,
      PartitionCalls::Start{options.instance, opened->key.uid, opened->verdict_tail, opened->low_mark,
                            &opened->attempts, &opened->answers, opened->answers_kept, opened->offset});
  parts.calls->UseCode(opened->versions[version]->job);
  absl::StatusOr<std::unique_ptr<Pipeline>> pipeline =
      MakePipeline(opened->versions, version, options, parts);
  if (!pipeline.ok()) return pipeline.status();
  return absl::WrapUnique(
      new Partition(std::move(opened), std::move(parts), std::move(*pipeline), ports, bus, clock, options));
}

Partition::Partition(std::unique_ptr<OpenedPartition> opened, Parts parts, std::unique_ptr<Pipeline> pipeline,
                     PartitionPorts& ports, Bus& bus, Clock& clock, const PartitionOptions& options)
    : opened_(std::move(opened)),
      code_version_(CodeVersionOf(opened_->input_cursors)),
      parts_(std::move(parts)),
      pipeline_(std::move(pipeline)),
      ports_(ports),
      bus_(bus),
      clock_(clock),
      options_(options),
      input_(opened_->segment().InputWriters(), opened_->input_cursors),
      offset_(opened_->offset),
      offset_time_ns_(opened_->offset_time_ns),
      outputs_(MakeOutputs()),
      dead_letters_(opened_->key, bus, clock, options.instance << kCookieInstanceShift | kDeadLetterCookie),
      committed_offset_(opened_->offset),
      committed_at_ms_(absl::ToUnixMillis(clock.Now())),
      commit_pace_(kCommitTimeShare, options.max_commit_interval, clock.Monotonic()),
      checkpoint_offset_(opened_->checkpoint_offset),
      checkpoint_pace_(kCheckpointTimeShare, kMaxCheckpointStretch, clock.Monotonic()),
      metrics_(options.metrics) {
  ReaderOptions reader;
  reader.stream = key().input_stream();
  reader.start_sequence =
      offset_.value() + 1 + (MILLRACE_DEFECT("replay_from_offset_plus_2") && offset_.value() > 0 ? 1 : 0);
  reader.name_hint = "p";
  MILLRACE_FAILPOINT("before_pull");
  reader_ = ports_.OpenReader(reader);
}

std::unique_ptr<OutputWriter> Partition::MakeOutputs() {
  const uint64_t cookies = options_.instance << kCookieInstanceShift;
  if (opened_->segment().is_last()) {
    auto results = std::make_unique<ResultWriter>(opened_->key, opened_->epoch, opened_->result_tail,
                                                  options_.results, bus_, clock_, cookies);
    results_ = results.get();
    return results;
  }
  const SegmentWriterStart start = {opened_->key, opened_->epoch, opened_->offset, opened_->downstream};
  return std::make_unique<SegmentWriter>(start, options_.next_segment, bus_, clock_,
                                         cookies | kNextSegmentCookie);
}

Partition::~Partition() {
  if (reader_ != 0) ports_.CloseReader(reader_);
}

void Partition::HandleMessage(Message message) {
  if (phase_ != Phase::kRunning) return;
  queue_.push_back(std::move(message));
}

void Partition::HandleReaderError(const absl::Status& status) {
  reader_ = 0;  // the bus has closed it
  if (phase_ == Phase::kRunning) Stop(Phase::kStopped, status);
}

bool Partition::HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) {
  if (dead_letters_.HandleAppended(cookie, status) || HandleCodeMarked(cookie, status)) return true;
  const bool ours = outputs_->HandleAppended(cookie, status, sequence);
  if (ours && phase_ == Phase::kRunning && !outputs_->status().ok())
    Stop(Phase::kStopped, outputs_->status());
  return ours;
}

void Partition::HandleReconnected() {
  outputs_->HandleReconnected();
  dead_letters_.HandleReconnected();
}

void Partition::HandleTail(const absl::StatusOr<LogTail>& tail) {
  tail_requested_ = false;
  if (phase_ == Phase::kReleased || phase_ == Phase::kStopped || results_ == nullptr) return;
  if (tail.ok()) {
    results_->HandleTail(*tail);
    if (results_->condition() == ResultWriter::Condition::kFenced)
      Supersede("a later owner has taken the partition over");
  } else if (absl::IsDataLoss(tail.status()) || absl::IsNotFound(tail.status())) {
    Stop(Phase::kStopped, tail.status());
  }  // otherwise the broker is away: asked again from Tick
}

void Partition::SetPaused(bool paused) { paused_ = paused; }

void Partition::SetMoves(bool moves) {
  if (moves && !moves_) {
    moves_from_ = offset_;
    first_for_move_due_ = true;
  }
  moves_ = moves;
}

bool Partition::CanStep() const {
  // A commit that memory asks for comes behind a message: one that is applied in part is gone on with.
  const bool has_memory = retrying_ || !opened_->store->wants_commit();
  return phase_ == Phase::kRunning && !paused_ && !queue_.empty() && outputs_->HasRoom() &&
         dead_letters_.HasRoom() && ports_.MayAct() && (!retrying_ || clock_.Monotonic() >= retry_at_) &&
         has_memory && wanted_version_ < opened_->versions.size() &&
         calls().MayStep(Offset(queue_.front().sequence), Offset(queue_.back().sequence));
}

bool Partition::Work() {
  for (size_t n = 0; n < options_.max_frames_a_turn && CanStep(); ++n) {
    const bool had_waited = retrying_;
    if (!(n == 0 ? MeasureStep() : StepOne())) break;
    if (had_waited) break;  // the next may wait as well, and a commit comes between two
  }
  GrantBack();
  FlushResults();
  MaybeFinishInput();
  MaybeCommit();
  MaybeWriteCommit();
  return CanStep();
}

// Not after each turn: the call takes the lock that the pull loop holds while it sorts what came, and the
// reader asks for more in larger portions anyway.
void Partition::GrantBack() {
  if (granted_messages_ == 0 || reader_ == 0) return;
  if (!queue_.empty() && granted_messages_ < kGrantMessages && granted_bytes_ < kGrantBytes) return;
  bus_.Grant(reader_, std::exchange(granted_messages_, 0), std::exchange(granted_bytes_, 0));
}

// A message costs the broker the same with one result in it as with hundreds.
void Partition::FlushResults() {
  const absl::Duration now = clock_.Monotonic();
  if (CanStep() && now - results_flushed_at_ < options_.max_pack_delay) return;
  results_flushed_at_ = now;
  outputs_->Flush();
}

bool Partition::WarmUp(size_t max_rows) {
  if (phase_ != Phase::kRunning) return false;
  absl::StatusOr<bool> more = opened_->store->WarmUp(max_rows);
  if (!more.ok()) Stop(Phase::kStopped, more.status());
  return more.ok() && *more;
}

bool Partition::StepOne() {
  const Message& message = queue_.front();
  absl::StatusOr<bool> applied = Apply(message);
  if (!applied.ok()) {
    Stop(absl::IsAborted(applied.status()) ? Phase::kFailed : Phase::kStopped, applied.status());
    return false;
  }
  if (!*applied) {
    opened_->store->Trim();  // of what was read for the messages behind
    return false;
  }
  MILLRACE_FAILPOINT("after_step");
  FinishMessage(message);
  queue_.pop_front();
  opened_->store->Trim();
  return true;
}

absl::StatusOr<bool> Partition::Apply(const Message& message) {
  StepInput input;
  input.offset = Offset(message.sequence);
  input.broker_time_ms = BrokerTimeMs(message);
  input.segment = key().segment;
  input.partition = key().partition;
  input.partitions = opened_->segment().job.partitions;
  input.first_record = next_record_;
  input.attempts = &opened_->attempts;

  const auto damaged = [&](const absl::Status& why) {
    return absl::DataLossError(
        StrCat("message ", message.sequence, " of ", key().input_stream(), ": ", ToStd(why.message())));
  };
  const auto read = ReadMessageHeader(message.header);
  if (!read.ok()) return damaged(read.status());
  const std::optional<MessageHeader>& header = *read;
  if (header.has_value()) {
    if (WaitsForCode(*header)) return false;
    if (!front_.has_value()) {
      if (calls().memos() != nullptr) cursors_before_front_ = input_.cursors();
      front_ = input_.Offer(*header);
      if (!front_.has_value() && !MILLRACE_DEFECT("labels_ignored")) return true;
    }
    if (absl::Status status = frame_.ParseInto(message.payload); !status.ok()) return damaged(status);
    input.frame = &frame_;
    if (front_.has_value()) {
      input.taken_until = front_->taken_until;
      input.ends_input = front_->ends_input;
      input.watermark_ms = input_.RaiseWatermark(header->writer, frame_.watermark_ms());
    }
  } else {
    input.stranger = true;
    input.payload = message.payload;
  }
  absl::StatusOr<StepResult> result = Step(&input);
  if (!result.ok()) return result.status();
  if (result->waits_for_calls) return false;
  if (!result->done) {
    next_record_ = result->resume_record;
    retry_at_ = clock_.Monotonic() + result->retry_after;
    retrying_ = true;
  } else if (input_.code_version() != code_version_) {
    if (absl::Status switched = SwitchCode(input_.code_version()); !switched.ok()) return switched;
  }
  return result->done;
}

// Where it waits for calls, those of the messages behind are asked as well.
absl::StatusOr<StepResult> Partition::Step(StepInput* input) {
  if (calls().memos() == nullptr) return pipeline_->Step(*input, *opened_->store, *this);
  QueueAhead ahead(queue_, input_, *input, [this] { return opened_->store->HasRoomAhead(); });
  input->ahead = &ahead;
  absl::StatusOr<StepResult> result = pipeline_->Step(*input, *opened_->store, *this);
  if (result.ok() && result->waits_for_calls) calls().Ask(ahead);
  return result;
}

void Partition::FinishMessage(const Message& message) {
  MILLRACE_CHECK(message.sequence > offset_.value());
  offset_ = Offset(message.sequence);
  offset_time_ns_ = message.time_ns;
  ports_.ShowProgress(offset_, committed_offset_);
  outputs_->FinishFrame(offset_, pipeline_->WatermarkBehind(opened_->store->progress().watermark_ms));
  next_record_ = 0;
  retrying_ = false;
  front_.reset();
  cursors_before_front_.reset();
  calls().Finish(offset_);
  ++granted_messages_;
  granted_bytes_ += message.payload.size();
}

void Partition::Emit(const RecordView& record) {
  if (results_ != nullptr && !opened_->segment().job.sink.keeps_results()) return;
  outputs_->Emit(record);
}

void Partition::Reject(const DeadLetter& letter) {
  dead_letters_.Add(Offset(queue_.front().sequence), letter);
}

void Partition::MaybeFinishInput() {
  if (opened_->store->progress().ended && phase_ == Phase::kRunning) {
    outputs_->FinishInput();
    outputs_->FlushAll();
  }
}

bool Partition::completed() const {
  return opened_->store->progress().ended && end_confirmed_ && committed_offset_ == offset_;
}

void Partition::MaybeTick() {
  if (phase_ != Phase::kRunning || paused_ || !queue_.empty() || !ports_.MayAct() ||
      opened_->store->progress().ended)
    return;
  const absl::Duration now = clock_.Monotonic();
  if (ticks_sent_ > 0 && now - tick_sent_at_ < kTickInterval) return;
  const int64_t due_ms = pipeline_->NextDueMs(*opened_->store);
  if (due_ms == kEndOfTime || absl::ToUnixMillis(clock_.Now()) < due_ms) return;
  FrameBuilder tick(FrameKind::kTick);
  const std::string header =
      FormatMessageHeader({FrameKind::kTick, key().uid, kTickWriter, epoch(), {}, {}, 0});
  AppendRequest request;
  const std::string subject = key().input_subject();
  request.subject = subject;
  request.header = header;
  request.payload = tick.Finish();
  if (!bus_.Append(request).ok()) return;  // asked for again at the next Tick
  tick_sent_at_ = now;
  ++ticks_sent_;
}

void Partition::Tick() {
  ShowWaiting();
  if (phase_ == Phase::kReleased || phase_ == Phase::kStopped) return;
  if (phase_ == Phase::kReleasing && abandoned_) {
    if (!disk_busy()) phase_ = Phase::kReleased;
    return;
  }
  outputs_->Tick();
  dead_letters_.Tick();
  calls().Tick();
  if (results_ != nullptr && results_->WantsTail() && !tail_requested_) {
    tail_requested_ = true;
    ports_.ReadResultTail(results_->acked_tail());
  }
  MaybeTick();
  MaybeMarkCode();
  MaybeFinishInput();
  MaybeCommit();
  MaybeWriteCommit();
  MaybeConfirmEnd();
  MaybeCheckpoint();
  if (phase_ == Phase::kReleasing && !disk_busy() && (offset_ == committed_offset_ || retrying_)) {
    phase_ = Phase::kReleased;
  }
}

void Partition::BeginRelease() {
  if (phase_ != Phase::kRunning) {
    Abandon("released");
    return;
  }
  phase_ = Phase::kReleasing;
  if (reader_ != 0) ports_.CloseReader(std::exchange(reader_, 0));
  queue_.clear();
  outputs_->FlushAll();
  Tick();
}

void Partition::Abandon(std::string_view reason) {
  if (phase_ == Phase::kReleased) return;
  reason_ = std::string(reason);
  abandoned_ = true;
  queue_.clear();
  if (reader_ != 0) ports_.CloseReader(std::exchange(reader_, 0));
  if (frozen_ != nullptr) {  // frozen, never handed on: nobody will answer for it
    frozen_.reset();
    commit_in_progress_ = false;
  }
  phase_ = disk_busy() ? Phase::kReleasing : Phase::kReleased;
}

void Partition::Supersede(std::string_view reason) {
  if (!abandoned_ && !released()) metrics_.fenced.Add();
  Abandon(reason);
}

void Partition::Stop(Phase phase, const absl::Status& why) {
  LogError(phase == Phase::kFailed ? "the job is to fail" : "partition stopped",
           {{"partition", key().ToString()}, {"offset", offset_.value()}, {"why", ToStd(why.message())}});
  phase_ = phase;
  reason_ = std::string(why.message());
  if (phase == Phase::kStopped) stop_cause_ = why;
  queue_.clear();
  if (reader_ != 0) ports_.CloseReader(std::exchange(reader_, 0));
}

void Partition::CheckInvariants() const {
  outputs_->CheckInvariants();
  MILLRACE_CHECK(committed_offset_ <= offset_);
  MILLRACE_CHECK(!commit_in_progress_ || commit_offset_ <= offset_);
  MILLRACE_CHECK(frozen_ == nullptr || commit_in_progress_);
  // A message that R3 has taken may wait, also one that brings new code.
  MILLRACE_CHECK(phase_ != Phase::kRunning || retrying_ || front_.has_value() ||
                 code_version_ == input_.code_version());
}

}  // namespace millrace
