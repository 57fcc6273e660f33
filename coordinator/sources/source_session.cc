#include "coordinator/sources/source_session.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/sources/source_stream.h"

namespace millrace {
namespace {

constexpr size_t kEventsPerPoll = 4096;
constexpr absl::Duration kTellInterval = absl::Seconds(1);
constexpr absl::Duration kTrimInterval = absl::Seconds(10);
constexpr int64_t kMessageSlackBytes = 16 << 10;  // of max_payload, for headers

}  // namespace

void TellSourceTrouble(Bus& bus, const SourceJob& job, std::string_view trouble) {
  const absl::StatusOr<KeyValue> there = bus.GetKey(kAssignmentsBucket, SourceKey(job.uid));
  const absl::StatusOr<SourceFed> known = there.ok() ? DecodeSourceFed(there->value) : there.status();
  SourceFed said = known.ok() ? *known : SourceFed();
  if (known.ok() && said.trouble == trouble) return;
  said.stream = job.source.name;
  said.trouble = trouble;
  bus.PutKey(kAssignmentsBucket, SourceKey(job.uid), Encode(said)).IgnoreError();
}

SourceSession::SourceSession(const SourceJob& job, const StreamInfo& stream, Bus& bus, Clock& clock)
    : job_(job),
      first_sequence_(stream.first_sequence),
      trims_source_(job.spec.retain == Retain::kResults && job.source.name == SourceStream(job.name)),
      bus_(bus),
      clock_(clock),
      input_({.stream = job.source.name,
              .subject = job.spec.source.subject,
              .max_record_bytes = job.spec.source.max_record_bytes},
             bus) {
  told_.stream = job.source.name;
}

absl::StatusOr<std::unique_ptr<SourceSession>> SourceSession::Create(const SourceJob& job,
                                                                     const std::string& claimer, Bus& bus,
                                                                     Clock& clock) {
  const absl::StatusOr<StreamInfo> stream = CheckSource(bus, job.source);
  if (!stream.ok()) return stream.status();
  const absl::StatusOr<ServerInfo> server = bus.Server();
  if (!server.ok()) return server.status();
  absl::StatusOr<std::unique_ptr<KeyExtractor>> extractor = KeyExtractor::Create(job.spec);
  if (!extractor.ok()) return extractor.status();
  std::unique_ptr<SourceSession> session(new SourceSession(job, *stream, bus, clock));
  session->extractor_ = *std::move(extractor);
  IngestOptions options;
  options.job = job.name;
  options.uid = job.uid;
  options.partitions = job.spec.partitions;
  options.trims_log = job.spec.retain == Retain::kResults;
  options.claimer = claimer;
  options.max_message_bytes =
      static_cast<size_t>(std::max<int64_t>(kMessageSlackBytes, server->max_payload - kMessageSlackBytes));
  session->ingest_ =
      std::make_unique<Ingest>(std::move(options), bus, clock, session->input_, *session->extractor_);
  return session;
}

void SourceSession::Turn(absl::Duration wait) {
  const bool more = ingest_->Pump();
  events_.clear();
  bus_.Poll(more ? absl::ZeroDuration() : wait, kEventsPerPoll, &events_);
  for (BusEvent& event : events_) {
    if (!input_.Handle(event)) ingest_->Handle(event);
  }
  if (!looked_for_losses_ && ingest_->phase() == Ingest::Phase::kFeed) {
    looked_for_losses_ = true;
    const uint64_t next = ingest_->resumed_from() + 1;
    if (next > 1 && first_sequence_ > next) {
      told_.lost = first_sequence_ - next;
      LogWarning("messages were deleted from a source before they were read",
                 {{"job", job_.name}, {"stream", job_.source.name}, {"at_most", told_.lost}});
    }
  }
  if (trims_source_ && clock_.Monotonic() >= trim_at_) TrimSource();
  if (clock_.Monotonic() < tell_at_ || ingest_->phase() != Ingest::Phase::kFeed) return;
  Tell(ingest_->trouble());
}

// Only of a stream that was made for this job: what is somebody else's stays. The last message stays, too, so that
// the stream never is an empty one.
void SourceSession::TrimSource() {
  trim_at_ = clock_.Monotonic() + kTrimInterval;
  const uint64_t taken = ingest_->taken_position();
  if (taken <= trimmed_ + 1) return;
  const absl::Status purged = bus_.PurgeStream(job_.source.name, taken - 1);
  if (purged.ok()) {
    trimmed_ = taken - 1;
  } else {
    LogWarning("a source was not trimmed; it is tried again", {{"job", job_.name}, {"why", purged}});
  }
}

void SourceSession::Tell(std::string_view trouble) {
  tell_at_ = clock_.Monotonic() + kTellInterval;
  SourceFed now = told_;
  now.position = std::max(now.position, ingest_->position());
  now.records = ingest_->records();
  now.rejected = ingest_->rejected();
  now.epoch = ingest_->epoch().value();
  now.trouble = trouble;
  if (now == told_) return;
  // Without it people see less: no reason to stop.
  if (bus_.PutKey(kAssignmentsBucket, SourceKey(job_.uid), Encode(now)).ok()) told_ = std::move(now);
}

}  // namespace millrace
