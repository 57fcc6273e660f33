#include "coordinator/copy/job_copy.h"

#include <set>
#include <string>
#include <utility>

#include "common/broker_limits.h"
#include "common/cluster/table_store.h"
#include "common/job/branches.h"
#include "common/names.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "coordinator/copy/copy_input.h"
#include "coordinator/ingest/job_creation.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {

JobCopy::JobCopy(const CopyRequest& request, const FeedLimits& limits, Bus& bus, Clock& clock)
    : request_(request), limits_(limits), bus_(bus), clock_(clock) {}

absl::Status JobCopy::Run() {
  if (const absl::Status fit = CheckServerPayload(bus_); !fit.ok()) return fit;
  if (const absl::Status found = FindJob(); !found.ok()) return found;
  absl::StatusOr<JobSpec> spec =
      SpecOfCopy(code_.back(), request_, [this](const std::string& name, const CodeFile* known) {
        return FetchJobTable(bus_, job_.name, name, known);
      });
  if (!spec.ok()) return spec.status();
  spec_ = *std::move(spec);
  if (const absl::Status found = FindLogs(); !found.ok()) return found;
  const absl::StatusOr<JobRecord> copy = MakeJob();
  if (!copy.ok()) return copy.status();

  feed_.emplace(spec_, copy->uid, bus_, clock_, limits_);
  if (const absl::Status looked = feed_->LookAtEnd(); !looked.ok()) return looked;
  const auto fed = feed_->FindFedBefore(kIngestWriter);
  if (!fed.ok()) return fed.status();
  if (fed->has_value()) {
    Say(StrCat("job ", spec_.name, ": all ", feed_->records(), " records were copied before; nothing to do"));
    return absl::OkStatus();
  }
  if (feed_->final_status().has_value()) return absl::OkStatus();  // its end was said
  const absl::Status done = FeedCopy(code_.back().key);
  return done.ok() ? done : ExplainStop(done);
}

// Whoever fed it may have died before it could say so: no job completes without the marks that end its input.
bool JobCopy::HasItsWholeInput(const JobRecord& job) const {
  const FinalStatus* const end = cluster_.FindFinal(job.uid);
  return cluster_.fed.contains(job.uid) || (end != nullptr && end->state == "completed");
}

absl::Status JobCopy::FindJob() {
  absl::StatusOr<Cluster> cluster = ReadCluster(bus_);
  if (!cluster.ok()) return cluster.status();
  cluster_ = *std::move(cluster);
  absl::StatusOr<JobRecord> job = RequireJob(cluster_, request_.job);
  if (!job.ok()) {
    const JobRecord* const copy = cluster_.FindJob(request_.name);
    const bool was_begun =
        copy != nullptr && !copy->inputs.empty() && CopiedUid(copy->inputs.front()).has_value() &&
        copy->inputs.front().name == InputStream(request_.job, kFirstSegment, PartitionId(0));
    if (!absl::IsNotFound(job.status()) || !was_begun) return job.status();
    return absl::NotFoundError(
        StrCat("job ", request_.job, " is deleted — ",
               HasItsWholeInput(*copy)
                   ? StrCat("its copy ", copy->name, " has all of it, and needs it no more")
                   : StrCat("its copy ", copy->name,
                            " has a part of it, and gets no more — `coordinator delete ", copy->name, "`")));
  }
  job_ = *std::move(job);
  absl::StatusOr<JobCode> code = ReadJobCode(bus_, job_);
  if (!code.ok()) return code.status();
  code_ = *std::move(code);
  return absl::OkStatus();
}

// A copy that was begun goes on with the logs that it was begun with.
absl::Status JobCopy::FindLogs() {
  if (const JobRecord* const copy = cluster_.FindJob(request_.name)) {
    if (const absl::Status same = CheckIsCopyOf(*copy, job_); !same.ok()) return same;
    for (const InputFile& input : copy->inputs) logs_.push_back(*CopiedLogOf(input));
    return absl::OkStatus();
  }
  const auto input = JudgeCopiedInput(code_.back(), cluster_.FindFinal(job_.uid), HasItsWholeInput(job_));
  if (!input.ok()) return input.status();
  absl::StatusOr<std::vector<CopiedLog>> logs = LookAtLogs(bus_, job_, *input == CopiedInput::kWhole);
  if (absl::IsDataLoss(logs.status())) {
    return absl::DataLossError(
        StrCat("cannot copy `", job_.name, "` — ", ToStd(logs.status().message()),
               " — was it deleted just now? — `coordinator jobs` lists what there is"));
  }
  if (!logs.ok()) return logs.status();
  logs_ = *std::move(logs);
  return absl::OkStatus();
}

absl::StatusOr<JobRecord> JobCopy::MakeJob() {
  JobRequest request;
  request.spec = &spec_;
  for (const CopiedLog& log : logs_) request.inputs.push_back(InputOfCopy(job_.uid, log));
  request.new_uid = RandomId();
  request.now_ms = absl::ToUnixMillis(clock_.Now());
  request.elsewhere = "copy to another name";
  const absl::StatusOr<StreamInfo> log = bus_.GetStream(logs_.front().stream);
  if (!log.ok() && !absl::IsNotFound(log.status())) return log.status();
  if (log.ok()) request.replicas = log->config.replicas;
  absl::StatusOr<JobRecord> made = EnsureJob(bus_, request);
  if (!made.ok()) return made;
  if (absl::Status tables = CopyTables(); !tables.ok()) return tables;
  return made;
}

// The copy needs nothing of the job when it is done.
absl::Status JobCopy::CopyTables() {
  std::set<std::string> tables;
  for (const StageSpec* const stage : AllStages(spec_.stages)) {
    if (const auto* const lookup = std::get_if<LookupStage>(&stage->what)) tables.insert(lookup->table);
  }
  for (const CodeFile& file : spec_.files) {
    if (!tables.contains(file.name)) continue;
    const absl::StatusOr<std::string> text = GetTable(bus_, job_.name, file);
    if (!text.ok()) return text.status();
    if (absl::Status put = PutTable(bus_, spec_.name, file, *text); !put.ok()) return put;
  }
  return absl::OkStatus();
}

absl::Status JobCopy::FeedCopy(const KeySpec& old_key) {
  if (const absl::Status same = CheckLogs(bus_, logs_); !same.ok()) return same;
  absl::StatusOr<NewKey> key = NewKey::Create(old_key, spec_.key);
  if (!key.ok()) return key.status();
  const absl::StatusOr<std::unique_ptr<KeyExtractor>> extractor = KeyExtractor::Create(spec_);
  if (!extractor.ok()) return extractor.status();
  const bool whole = logs_.front().has_end;
  if (!whole) Say(StrCat("job ", job_.name, " has no end in its logs: what was fed to it is copied"));
  if (code_.size() > 1) {
    Say(StrCat("job ", spec_.name, " runs version ", code_.size() - 1, " of the code of ", job_.name,
               " from its first record on"));
  }
  const auto fed = cluster_.fed.find(job_.uid);
  FeedTotal total = {.unit = "record", .what = "record"};
  if (whole && fed != cluster_.fed.end()) total.amount = fed->second.records;
  absl::StatusOr<std::unique_ptr<KeyExtractor>> old_keys = KeyExtractor::Create(code_.back());
  if (!old_keys.ok()) return old_keys.status();
  CopyInput input(job_.uid, logs_, *std::move(old_keys), *std::move(key), bus_);
  return feed_->Feed(kIngestWriter, input, **extractor, total);
}

// What the logs lack does not come back by the same command.
absl::Status JobCopy::ExplainStop(const absl::Status& status) const {
  if (!absl::IsDataLoss(status)) return status;
  return absl::DataLossError(
      StrCat("cannot go on with the copy of `", job_.name, "` — ", ToStd(status.message()), " — job ",
             spec_.name, " has a part of it, and gets no more — `coordinator delete ", spec_.name, "`"));
}

}  // namespace millrace
