#include "coordinator/ingest/job_feed.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/exit_codes.h"
#include "common/names.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/ingest/added_input.h"
#include "coordinator/terminal/terminal.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

constexpr size_t kFeedEventsPerPoll = 4096;
constexpr absl::Duration kFeedIdleWait = absl::Milliseconds(5);
constexpr absl::Duration kFinalPoll = absl::Milliseconds(25);
constexpr absl::Duration kSinkPoll = absl::Milliseconds(100);
constexpr absl::Duration kAskInterval = absl::Seconds(1);  // at the job's end, while it is being fed
constexpr int64_t kFeedSlackBytes = 16 << 10;              // of max_payload, for headers

}  // namespace

JobFeed::JobFeed(const JobSpec& spec, std::string uid, Bus& bus, Clock& clock, const FeedLimits& limits)
    : spec_(spec), uid_(std::move(uid)), bus_(bus), clock_(clock), limits_(limits) {}

absl::Status JobFeed::LookAtEnd() {
  const absl::StatusOr<KeyValue> ended = bus_.GetKey(kAssignmentsBucket, FinalKey(uid_));
  if (!ended.ok()) return absl::IsNotFound(ended.status()) ? absl::OkStatus() : ended.status();
  const absl::StatusOr<FinalStatus> final = DecodeFinalStatus(ended->value);
  if (!final.ok()) return final.status();
  final_ = *final;
  if (final_->state != "completed") {
    Say(StrCat("job ", spec_.name, " ", final_->state, final_->reason.empty() ? "" : ": ", final_->reason));
  }
  return absl::OkStatus();
}

absl::Status JobFeed::CheckTime() const {
  if (const absl::Status stopped = CheckInterrupted(); !stopped.ok()) {
    Say(StrCat("interrupted; job ", spec_.name, " is left as it is, the same command goes on"));
    return stopped;
  }
  if (clock_.Monotonic() - limits_.start < limits_.timeout) return absl::OkStatus();
  return absl::DeadlineExceededError(StrCat("job ", spec_.name, " did not come that far within --timeout ",
                                            absl::FormatDuration(limits_.timeout),
                                            " — it is left as it is; the same command goes on"));
}

absl::StatusOr<IngestOptions> JobFeed::Options(const std::string& writer) {
  const absl::StatusOr<ServerInfo> server = bus_.Server();
  if (!server.ok()) return server.status();
  IngestOptions options;
  options.job = spec_.name;
  options.uid = uid_;
  options.writer = writer;
  options.partitions = spec_.partitions;
  options.trims_log = spec_.retain == Retain::kResults;
  options.claimer = RandomId();
  options.max_message_bytes =
      static_cast<size_t>(std::max<int64_t>(kFeedSlackBytes, server->max_payload - kFeedSlackBytes));
  return options;
}

absl::StatusOr<std::optional<InputFed>> JobFeed::FindFedBefore(const std::string& writer) {
  absl::StatusOr<std::optional<InputFed>> fed = FindFed(bus_, uid_, writer);
  if (fed.ok() && fed->has_value()) {
    records_ = (*fed)->records;
    rejected_ = (*fed)->rejected;
  }
  // Whoever fed it may have died before it could say so: no job completes without the marks that end its input.
  const bool completed = final_.has_value() && final_->state == "completed" && writer == kIngestWriter;
  if (fed.ok() && !fed->has_value() && completed) {
    records_ = final_->records_in;
    return InputFed{.records = records_};
  }
  return fed;
}

absl::Status JobFeed::Feed(const std::string& writer, RecordInput& input, KeyExtractor& extractor,
                           const FeedTotal& total) {
  absl::StatusOr<IngestOptions> options = Options(writer);
  if (!options.ok()) return options.status();
  Ingest ingest(*std::move(options), bus_, clock_, input, extractor);
  FeedBar bar(clock_, total);
  const absl::Duration begun = clock_.Monotonic();
  const absl::Status fed = Drive(ingest, input, bar);
  bar.Clear();
  records_ = ingest.records();
  rejected_ = ingest.rejected();
  if (!fed.ok() || final_.has_value()) return fed;
  const double seconds = absl::ToDoubleSeconds(clock_.Monotonic() - begun);
  std::string line = absl::StrFormat("job %s: %d records fed in %.2f s", spec_.name, records_, seconds);
  if (rejected_ > 0) {
    StrAppend(&line, ", ", rejected_, " ", total.what, rejected_ == 1 ? "" : "s",
              " rejected (see `coordinator dead-letters list ", spec_.name, "`)");
  }
  if (ingest.resumed_from() > 0) StrAppend(&line, ", resumed at ", total.unit, " ", ingest.resumed_from());
  Say(line);
  return absl::OkStatus();
}

absl::Status JobFeed::Drive(Ingest& ingest, RecordInput& input, FeedBar& bar) {
  std::vector<BusEvent> events;
  absl::Duration look_at = clock_.Monotonic() + kAskInterval;
  std::string told;
  while (!ingest.done()) {
    const bool more = ingest.Pump();
    events.clear();
    bus_.Poll(more ? absl::ZeroDuration() : kFeedIdleWait, kFeedEventsPerPoll, &events);
    for (BusEvent& event : events) {
      if (!input.Handle(event)) ingest.Handle(event);
    }
    if (const absl::Status time = CheckTime(); !time.ok()) return time;
    bar.Show(ingest);
    if (clock_.Monotonic() < look_at) continue;
    look_at = clock_.Monotonic() + kAskInterval;
    if (ingest.trouble() != told) {
      told = ingest.trouble();
      bar.Clear();
      if (!told.empty()) Say(told);
    }
    // A job that was cancelled or failed meanwhile takes nothing more. That it cannot be asked is no harm.
    if (LookAtEnd().ok() && final_.has_value()) return absl::OkStatus();
  }
  return ingest.status();
}

absl::Status JobFeed::WaitForEnd() {
  while (!final_.has_value()) {
    if (const absl::Status time = CheckTime(); !time.ok()) return time;
    if (const absl::Status looked = LookAtEnd();
        !looked.ok() && !absl::IsUnavailable(looked) && !absl::IsDeadlineExceeded(looked)) {
      return looked;
    }
    if (!final_.has_value()) clock_.Sleep(kFinalPoll);
  }
  if (final_->state == "completed") {
    Say(absl::StrFormat("job %s completed: %d records in, %d results, %d dead letters, %.2f s in all",
                        spec_.name, final_->records_in, final_->records_out, final_->dead_letters + rejected_,
                        absl::ToDoubleSeconds(clock_.Monotonic() - limits_.start)));
  }
  return spec_.sink.goes_out() ? WaitForSink() : absl::OkStatus();
}

absl::Status JobFeed::WaitForSink() {
  std::string told;
  for (bool done = false; !done;) {
    if (const absl::Status time = CheckTime(); !time.ok()) return time;
    if (const absl::Status looked = LookAtSink(&told, &done);
        !looked.ok() && !absl::IsUnavailable(looked) && !absl::IsDeadlineExceeded(looked)) {
      return looked;
    }
    if (!done) clock_.Sleep(kSinkPoll);
  }
  return absl::OkStatus();
}

// Says what keeps results from coming out, once.
absl::Status JobFeed::LookAtSink(std::string* told, bool* done) {
  for (const std::string& key : {SinkDoneKey(uid_), SinkKey(uid_)}) {
    const absl::StatusOr<KeyValue> there = bus_.GetKey(kAssignmentsBucket, key);
    if (absl::IsNotFound(there.status())) continue;
    if (!there.ok()) return there.status();
    const absl::StatusOr<SinkReport> report = DecodeSinkReport(there->value);
    if (!report.ok()) return report.status();
    *done = key == SinkDoneKey(uid_);
    if (*done) {
      Say(StrCat("job ", spec_.name, ": ", report->records, " results are out, in ", report->to));
    } else if (!report->trouble.empty() && report->trouble != *told) {
      *told = report->trouble;
      Say(StrCat("job ", spec_.name, ": its results are not all out: ", *told));
    }
    return absl::OkStatus();
  }
  const absl::StatusOr<KeyValue> job = bus_.GetKey(kJobsBucket, JobKey(spec_.name));
  if (!absl::IsNotFound(job.status())) return absl::OkStatus();
  return absl::NotFoundError(StrCat("job ", spec_.name, " was deleted before all of its results were out"));
}

std::string JobFeed::Json() const {
  const nlohmann::ordered_json json = {{"job", spec_.name},
                                       {"uid", uid_},
                                       {"records", records_},
                                       {"rejected", rejected_},
                                       {"state", final_.has_value() ? final_->state : "running"}};
  return JsonText(json) + "\n";
}

int JobFeed::ExitCode() const {
  if (!final_.has_value() || final_->state == "completed") return kExitDone;
  return final_->state == "failed" ? kExitJobFailed : kExitFailed;
}

}  // namespace millrace
