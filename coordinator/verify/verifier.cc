#include "coordinator/verify/verifier.h"

#include <algorithm>
#include <utility>

#include "common/cluster/key_view.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/results/result_cursor.h"
#include "coordinator/state/owner_query.h"
#include "coordinator/verify/log_replayer.h"
#include "coordinator/views/partition_log.h"

namespace millrace {
namespace {

// "0.3.17.2" -> 17; nullopt for other ids.
std::optional<uint64_t> OffsetOfLetter(const std::string& id) {
  const auto place = ParseLetterId(id);
  return place ? std::optional<uint64_t>(place->offset.value()) : std::nullopt;
}

// "0.3" -> 3; nullopt for other writers.
std::optional<PartitionId> PartitionOfWriter(std::string_view writer) {
  const size_t dot = writer.find('.');
  uint32_t partition = 0;
  if (dot == std::string_view::npos || !absl::SimpleAtoi(ToAbsl(writer.substr(dot + 1)), &partition))
    return std::nullopt;
  return PartitionId(partition);
}

}  // namespace

// One partition under examination; takes what the replay puts out.
struct Verifier::Partition : StepSink {
  Partition(Verifier& verifier, const SegmentVersions& v, PartitionId p)
      : versions(v),
        segment(*v.front()),
        id(p),
        start(verifier.StartOf(segment.id, p)),
        outgoing(verifier.outgoing_.get()),
        streams(verifier.bus_, verifier.clock_),
        cursor(verifier.job_.uid, segment.id, p),
        comparer(p, &verifier.report_.differences),
        keeps_results(segment.is_last() && segment.job.sink.keeps_results()) {}

  void Emit(const RecordView& record) override {
    if (outgoing != nullptr) outgoing->Expect(id, record);
    if (keeps_results) comparer.Expect(record);
  }
  void Reject(const DeadLetter& letter) override {
    rejected.insert(DeadLetterId(segment.id, id, log->replay().offset(), letter.record));
  }
  std::string name() const { return PartitionText(segment.id, id); }

  const SegmentVersions& versions;
  const SegmentSpec& segment;  // what is the same in all of them
  const PartitionId id;
  const ReplayStart& start;
  Crossing* const outgoing;
  StreamSet streams;
  std::unique_ptr<LogReplayer> log;
  ResultCursor cursor;
  ResultComparer comparer;
  const bool keeps_results;
  std::set<std::string> rejected;
  std::optional<OwnerState> owner;
  Offset settled;
};

Verifier::Verifier(Bus& bus, Clock& clock, const Cluster& cluster, const JobRecord& job, const JobCode& code,
                   BlobStore* checkpoints, LocalHandlers* handlers)
    : bus_(bus),
      clock_(clock),
      cluster_(cluster),
      job_(job),
      code_(code),
      completed_(cluster.FindFinal(job.uid) != nullptr && cluster.FindFinal(job.uid)->state == "completed"),
      checkpoints_(checkpoints),
      handlers_(handlers) {}

absl::StatusOr<VerifyReport> Verifier::Run() {
  for (size_t tries = 0; tries < kMaxTries; ++tries) {
    absl::StatusOr<VerifyReport> report = RunOnce(tries);
    if (!absl::IsAborted(report.status())) return report;
  }
  return absl::UnavailableError(
      StrCat("the logs of job ", job_.name,
             " are deleted faster than they are read here — try it while the job is "
             "paused, or keep more with `worker --checkpoint-keep`"));
}

// ABORTED: a log was deleted under it.
absl::StatusOr<VerifyReport> Verifier::RunOnce(size_t tries) {
  report_ = VerifyReport();
  if (const absl::Status status = FindStarts(tries); !status.ok()) return status;
  if (const absl::Status status = ReadClaims(); !status.ok()) return status;
  if (const absl::Status status = ReadLetters(); !status.ok()) return status;
  outgoing_.reset();
  for (size_t s = job_.segments(); s-- > 0;) {
    const SegmentVersions versions = SegmentVersionsOf(code_, SegmentId(static_cast<uint32_t>(s)));
    if (const absl::Status status = VerifySegment(versions); !status.ok()) return status;
  }
  if (report_.states_compared < job_.all_partitions()) {
    report_.notes.push_back(StrCat("state compared for ", report_.states_compared, " of ",
                                   job_.all_partitions(), " partitions: the others have no owner to ask"));
  }
  if (report_.from_checkpoints > 0) {
    report_.notes.push_back(StrCat(report_.from_checkpoints,
                                   " partitions were replayed from their oldest good checkpoint: what came "
                                   "before it is deleted from their logs, and proved by nothing here"));
  }
  report_.notes.insert(report_.notes.end(), starts_->notes().begin(), starts_->notes().end());
  return std::move(report_);
}

// All of them before anything is read: what is compared of a path from partition to partition depends on both ends.
absl::Status Verifier::FindStarts(size_t tries) {
  starts_ = std::make_unique<ReplayStarts>(bus_, checkpoints_);
  start_.clear();
  for (uint32_t s = 0; s < job_.segments(); ++s) {
    for (uint32_t p = 0; p < job_.partitions_of(SegmentId(s)); ++p) {
      auto start =
          starts_->Find(job_, code_.front().retain, SegmentId(s), PartitionId(p), {.passed_over = tries});
      if (!start.ok() && !absl::IsDataLoss(start.status())) return start.status();
      start_.push_back(std::move(start));
    }
  }
  return absl::OkStatus();
}

const ReplayStart& Verifier::StartOf(SegmentId segment, PartitionId partition) const {
  const absl::StatusOr<ReplayStart>& start = start_[job_.IndexOf(segment, partition)];
  return start.ok() ? *start : first_message_;
}

std::unique_ptr<Crossing> Verifier::MakeCrossing(const SegmentSpec& into) {
  if (into.upstreams == 0) return nullptr;
  const SegmentId from(into.id.value() - 1);
  auto crossing = std::make_unique<Crossing>(from, into.upstreams, into.job.partitions, &report_.differences);
  for (uint32_t d = 0; d < into.job.partitions; ++d) {
    const ReplayStart& taken = StartOf(into.id, PartitionId(d));
    WriterCursors cursors(job_.uid);
    if (taken.commit.has_value()) {
      // A row that does not read fails the replay of that partition.
      if (auto decoded = WriterCursors::Decode(taken.commit->input_cursors); decoded.ok()) cursors = *decoded;
    }
    for (uint32_t u = 0; u < into.upstreams; ++u) {
      const Offset sent = StartOf(from, PartitionId(u)).offset;
      const Mark mark = cursors.Get(OwnerWriter(from, PartitionId(u))).mark;
      crossing->BeginAt(PartitionId(u), PartitionId(d), std::max(mark, Mark{sent.value() + 1, 0}));
    }
  }
  return crossing;
}

// Whether the log does not lead on any more from where its replay began.
absl::StatusOr<bool> Verifier::IsTrimmed(const SegmentSpec& segment, PartitionId partition) {
  const bool began = start_[job_.IndexOf(segment.id, partition)].ok();
  if (!began || segment.job.retain != Retain::kResults) return false;
  const auto info = bus_.GetStream(InputStream(job_.name, segment.id, partition));
  if (!info.ok()) return info.status();
  return info->first_sequence > StartOf(segment.id, partition).offset.value() + 1;
}

absl::Status Verifier::VerifySegment(const SegmentVersions& versions) {
  const SegmentSpec& segment = *versions.front();
  incoming_ = MakeCrossing(segment);
  for (uint32_t p = 0; p < segment.job.partitions; ++p) {
    const absl::Status status = VerifyPartition(versions, PartitionId(p));
    if (absl::IsDataLoss(status)) {
      const absl::StatusOr<bool> trimmed = IsTrimmed(segment, PartitionId(p));
      if (!trimmed.ok()) return trimmed.status();
      if (*trimmed) return absl::AbortedError("trimmed");
      report_.differences.Add(
          StrCat("partition ", PartitionText(segment.id, PartitionId(p)), ": ", ToStd(status.message())));
    } else if (!status.ok()) {
      return status;
    }
    ++report_.partitions;
  }
  if (outgoing_ != nullptr) {
    report_.crossed += outgoing_->compared();
    report_.results_on_the_way += outgoing_->on_the_way();
  }
  outgoing_ = std::move(incoming_);
  return absl::OkStatus();
}

absl::Status Verifier::ReadLetters() {
  letters_.clear();
  const auto add = [&](const std::string& id) {
    if (const auto place = ParseLetterId(id)) {
      letters_[{place->segment.value(), place->partition.value()}].insert(id);
    }
  };
  const auto marks = ReadDeadLetters(bus_, clock_, job_, [&](const LetterJson& letter) {
    add(letter["id"].get<std::string>());
    return absl::OkStatus();
  });
  if (!marks.ok()) return marks.status();
  // What was purged was there.
  for (const std::string& id : marks->purged) add(id);
  return absl::OkStatus();
}

absl::Status Verifier::ReadClaims() {
  const auto entries = ReadBucket(bus_, kEpochsBucket);
  if (!entries.ok()) return entries.status();
  for (const auto& [key, entry] : *entries) {
    if (!entry.deleted && key.starts_with(job_.uid)) claims_.insert(key);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Verifier::OwnerState>> Verifier::AskState(SegmentId segment,
                                                                       PartitionId partition) {
  if (cluster_.FindFinal(job_.uid) != nullptr) return std::nullopt;
  const std::string owner = OwnerOf(cluster_, job_, segment, partition);
  if (owner.empty()) return std::nullopt;
  const auto answer = AskOnce(bus_, owner, job_, segment, partition, {{"verb", "digest"}});
  if (absl::IsUnavailable(answer.status()) || absl::IsNotFound(answer.status())) return std::nullopt;
  if (!answer.ok()) return answer.status();
  OwnerState state;
  state.offset = Offset(answer->value("offset", uint64_t{0}));
  state.state.keys = answer->value("keys", uint64_t{0});
  state.state.digest = answer->value("digest", "");
  return state;
}

// Up to here everything must be out: what an owner committed was acknowledged before (R2).
Offset Verifier::SettledOffset(SegmentId segment, PartitionId partition) const {
  const auto reports = NewestReports(cluster_, job_);
  const auto& report = reports[job_.IndexOf(segment, partition)];
  return report ? Offset(report->committed_offset) : Offset(0);
}

absl::Status Verifier::VerifyPartition(const SegmentVersions& versions, PartitionId partition) {
  const auto& start = start_[job_.IndexOf(versions.front()->id, partition)];
  if (!start.ok()) return start.status();
  Partition at(*this, versions, partition);
  const SegmentSpec& segment = at.segment;
  // The order of these questions matters: results are looked at before the input's end is, so that each has
  // its input; and after the offset up to which they must be there.
  auto owner = AskState(segment.id, partition);
  if (!owner.ok()) return owner.status();
  at.owner = *std::move(owner);
  at.settled = SettledOffset(segment.id, partition);
  const absl::Status status = Replay(at);
  // Counted whatever was found: the report says how far the replay came.
  if (at.log == nullptr) return status;
  PartitionReplay& replay = at.log->replay();
  report_.messages += replay.offset().value() - start->offset.value();
  report_.messages_in_log += at.log->end().value();
  if (start->commit.has_value()) ++report_.from_checkpoints;
  if (segment.id == kFirstSegment) {
    const uint64_t before = start->commit.has_value() ? start->commit->progress.records_in : 0;
    report_.records += replay.progress().records_in - before;
  }
  report_.bytes += at.log->bytes();
  report_.dropped_messages += replay.dropped_messages() + at.cursor.dropped_messages();
  report_.epochs += at.cursor.epoch().value();
  if (status.ok()) Conclude(at);
  report_.results += at.comparer.compared();
  report_.results_before += at.comparer.passed();
  report_.results_on_the_way += at.comparer.on_the_way();
  return status;
}

absl::Status Verifier::Replay(Partition& at) {
  absl::StatusOr<StreamInfo> results = absl::NotFoundError("");
  if (at.segment.is_last()) {
    results = bus_.GetStream(ResultStream(job_.name, at.id));
    if (!results.ok() && !(absl::IsNotFound(results.status()) && !at.keeps_results)) return results.status();
  }
  auto log = LogReplayer::Open(bus_, at.streams, clock_, job_, at.versions, at.id, *starts_, at.start,
                               {.handlers = handlers_});
  if (!log.ok()) return log.status();
  at.log = *std::move(log);
  if (completed_) at.settled = at.log->end();

  absl::Status status = CompareState(at);  // for an owner that has applied nothing
  if (status.ok() && results.ok()) status = CompareResults(at);
  if (status.ok()) status = StepTo(at, at.log->end());
  return status;
}

void Verifier::Conclude(Partition& at) {
  PartitionReplay& replay = at.log->replay();
  at.comparer.Finish(at.settled);
  if (at.outgoing != nullptr) at.outgoing->Finish(at.id, at.settled);
  if (!at.log->failure().ok()) {
    report_.notes.push_back(StrCat("partition ", at.name(), " fails the job at offset ",
                                   replay.offset().value(), ": ", ToStd(at.log->failure().message())));
  }
  if (const std::optional<Offset>& undecided = at.log->undecided()) {
    const std::string what = StrCat("partition ", at.name(), ": what services answered to message ",
                                    undecided->value(), " is not written down");
    if (completed_) {
      report_.differences.Add(what);
    } else {
      report_.notes.push_back(StrCat(what, " yet; it was verified up to there"));
    }
  }
  if (completed_ && at.keeps_results && !at.cursor.ended())
    report_.differences.Add(StrCat("partition ", at.name(), ": the results have no end mark"));
  if (completed_ && !replay.progress().ended)
    report_.differences.Add(StrCat("partition ", at.name(), ": the input has no end"));
  const auto digest = DigestOf(replay.pipeline(), replay.state());
  if (digest.ok()) report_.keys += digest->keys;
  CheckWriters(at);
  CompareLetters(at);
}

// Of the owners of the segment before, whose messages are in this log.
void Verifier::CheckWriters(const Partition& at) {
  if (at.segment.upstreams == 0) return;
  for (const std::string& writer : at.segment.InputWriters()) {
    const Epoch epoch = at.log->replay().cursors().Get(writer).epoch;
    if (epoch == Epoch(0)) continue;
    if (at.id == PartitionId(0)) report_.epochs += epoch.value();
    if (!claims_.contains(EpochKey(job_.uid, writer, epoch))) {
      report_.differences.Add(StrCat("partition ", at.name(), ": messages of writer ", writer, ", epoch ",
                                     epoch.value(), ", which nobody has claimed"));
    }
  }
}

absl::Status Verifier::CompareResults(Partition& at) {
  const std::string name = ResultStream(job_.name, at.id);
  const auto info = bus_.GetStream(name);
  if (!info.ok()) return info.status();
  const auto stream = at.streams.Open({name, 1, info->last_sequence});
  const auto find = [&](const RecordView& record) -> absl::Status {
    // Results of messages behind the end that this replay goes to are the next verification's.
    if (record.offset > at.log->end()) return absl::OkStatus();
    if (record.offset <= at.start.offset) {
      at.comparer.Pass(record);
      return absl::OkStatus();
    }
    if (const absl::Status status = StepTo(at, record.offset); !status.ok()) return status;
    at.comparer.Find(record);
    return absl::OkStatus();
  };
  Epoch epoch;
  while (true) {
    const auto message = at.streams.Next(stream);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return absl::OkStatus();
    report_.bytes += (*message)->payload.size();
    if (const absl::Status status = at.cursor.Take(**message, find); !status.ok()) return status;
    if (at.cursor.epoch() == epoch) continue;
    epoch = at.cursor.epoch();
    if (!claims_.contains(EpochKey(job_.uid, OwnerWriter(at.segment.id, at.id), epoch))) {
      report_.differences.Add(StrCat("partition ", at.name(), ": results of epoch ", epoch.value(),
                                     ", which nobody has claimed"));
    }
  }
}

absl::Status Verifier::StepTo(Partition& at, Offset offset) {
  const auto crossed = [&](const MessageHeader& header, const RecordView& record) {
    if (const auto upstream = PartitionOfWriter(header.writer)) incoming_->Find(*upstream, at.id, record);
  };
  while (at.log->replay().offset() < offset) {
    const auto stepped = incoming_ == nullptr ? at.log->Step(at) : at.log->Step(at, crossed);
    if (!stepped.ok()) return stepped.status();
    if (!*stepped) return absl::OkStatus();
    if (const absl::Status status = CompareState(at); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Verifier::CompareState(Partition& at) {
  PartitionReplay& replay = at.log->replay();
  if (!at.owner || at.owner->offset != replay.offset()) return absl::OkStatus();
  const auto digest = DigestOf(replay.pipeline(), replay.state());
  if (!digest.ok()) return digest.status();
  ++report_.states_compared;
  if (digest->keys != at.owner->state.keys || digest->digest != at.owner->state.digest) {
    report_.differences.Add(StrCat("partition ", at.name(), ": the owner's state at offset ",
                                   replay.offset().value(), " (", at.owner->state.keys, " keys, ",
                                   at.owner->state.digest, ") is not the replay's (", digest->keys, " keys, ",
                                   digest->digest, ")"));
  }
  return absl::OkStatus();
}

void Verifier::CompareLetters(const Partition& at) {
  const std::set<std::string>& stored = letters_[{at.segment.id.value(), at.id.value()}];
  const Offset replayed = at.log->replay().offset();
  for (const std::string& id : at.rejected) {
    if (stored.contains(id)) {
      ++report_.dead_letters;
    } else if (OffsetOfLetter(id) <= at.settled.value()) {
      report_.differences.Add(StrCat("dead letter ", id, " is missing"));
    }
  }
  for (const std::string& id : stored) {
    const auto offset = OffsetOfLetter(id);
    if (offset && *offset > at.start.offset.value() && *offset <= replayed.value() &&
        !at.rejected.contains(id)) {
      report_.differences.Add(StrCat("dead letter ", id, " should not be: the replay handles that record"));
    }
  }
}

}  // namespace millrace
