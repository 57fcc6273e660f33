#include "coordinator/ingest/job_creation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/check.h"
#include "common/cluster/table_store.h"
#include "common/job/branches.h"
#include "common/job/job_difference.h"
#include "common/job/segments.h"
#include "common/names.h"
#include "common/parallel.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kDeadLetterWindow = absl::Minutes(2);
constexpr absl::Duration kSourceWindow = absl::Minutes(2);  // for publishers who send Nats-Msg-Id
constexpr int kMaxCreationTries = 5;                        // while others make and delete a job of that name

std::string Describe(const InputFile& input) {
  return StrCat(input.name, " (", input.bytes, " bytes, digest ", input.digest, ")");
}

absl::Status SomebodyElses(const StreamConfig& wanted, const StreamInfo& there) {
  return absl::FailedPreconditionError(
      StrCat("stream ", wanted.name, " is there already and not this job's (its description is `",
             there.config.description, "`, not `", wanted.description,
             "`) — delete it if nobody needs it, or give the job another name"));
}

absl::Status EnsureStream(Bus& bus, const StreamConfig& config) {
  absl::StatusOr<StreamInfo> stream = bus.CreateStream(config);
  // Ours with other settings, or somebody else's: its description tells.
  if (!stream.ok() &&
      (absl::IsAlreadyExists(stream.status()) || absl::IsFailedPrecondition(stream.status()))) {
    const absl::Status refused = stream.status();
    stream = bus.GetStream(config.name);
    if (absl::IsNotFound(stream.status())) {  // a subject overlap, say
      return absl::Status(refused.code(), StrCat("stream ", config.name, " cannot be made — ",
                                                 ToStd(refused.message()), " — free its subject ",
                                                 config.subjects.front(), ", or give the job another name"));
    }
  }
  if (!stream.ok()) return stream.status();
  if (stream->config.description == config.description) return absl::OkStatus();
  return SomebodyElses(config, *stream);
}

absl::Status EnsureStreams(Bus& bus, const std::vector<StreamConfig>& streams, size_t threads) {
  return ParallelFor(streams.size(), threads, [&](size_t i) { return EnsureStream(bus, streams[i]); });
}

// Takes back a job that was made here just now and cannot have its streams. What cannot be taken back now is
// left to `coordinator delete`.
void Undo(Bus& bus, const JobRecord& job, const std::vector<StreamConfig>& streams) {
  for (const StreamConfig& stream : streams) {
    const absl::StatusOr<StreamInfo> info = bus.GetStream(stream.name);
    if (info.ok() && info->config.description == stream.description) {
      static_cast<void>(bus.DeleteStream(stream.name));
    }
  }
  static_cast<void>(bus.DeleteKey(kJobsBucket, JobKey(job.name)));
}

// Which other version of the job's code the file is, for people; empty: none.
std::string DescribeOtherVersion(const JobCode& code, const JobSpec& spec) {
  for (size_t version = 0; version + 1 < code.size(); ++version) {
    if (!DescribeDifference(code[version], spec).empty()) continue;
    return StrCat("the file is version ", version, " of its code, and version ", code.size() - 1,
                  " is in force since `coordinator update`");
  }
  return "";
}

// What tells two submissions of one name apart, in a line; empty when they are the same.
std::string DescribeOtherJob(const JobRecord& there, const JobCode& code, const JobRequest& request) {
  const std::string difference = DescribeDifference(code.back(), *request.spec);
  if (!difference.empty()) {
    const std::string version = DescribeOtherVersion(code, *request.spec);
    return version.empty() ? difference : version;
  }
  const std::vector<InputFile>& inputs = request.inputs;
  if (there.inputs.size() != inputs.size()) {
    return StrCat("it has ", there.inputs.size(), " inputs, this one has ", inputs.size());
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    // A file may have been moved: what is in it counts.
    if (there.inputs[i].bytes == inputs[i].bytes && there.inputs[i].digest == inputs[i].digest) continue;
    return StrCat("its input ", i + 1, " was ", Describe(there.inputs[i]), ", is ", Describe(inputs[i]));
  }
  return "";
}

// The record of this name, if there is one and it is the same job's.
absl::StatusOr<std::optional<JobRecord>> FindRecord(Bus& bus, const JobRequest& request) {
  const JobSpec& spec = *request.spec;
  const std::string key = JobKey(spec.name);
  const absl::StatusOr<KeyValue> there = bus.GetKey(kJobsBucket, key);
  if (absl::IsNotFound(there.status())) return std::nullopt;
  if (!there.ok()) return there.status();
  absl::StatusOr<JobRecord> known = DecodeJobRecord(there->value);
  if (!known.ok())
    return absl::DataLossError(StrCat("key ", key, " holds no job: ", ToStd(known.status().message())));
  const absl::StatusOr<JobCode> code = ReadJobCode(bus, *known);
  const std::string difference =
      code.ok() ? DescribeOtherJob(*known, *code, request)
                : StrCat("its job file no longer reads: ", ToStd(code.status().message()));
  if (difference.empty()) return *std::move(known);
  return absl::FailedPreconditionError(
      StrCat("job ", spec.name, " is there already and differs: ", difference, " — ", request.elsewhere,
             ", or `coordinator delete ", spec.name, "` first"));
}

// Makes what a new job needs. nullopt: somebody else made a job of that name meanwhile, and nothing was
// changed here.
absl::StatusOr<std::optional<JobRecord>> MakeJob(Bus& bus, const JobRequest& request) {
  const JobSpec& spec = *request.spec;
  const std::vector<uint32_t> partitions = PartitionsBySegment(spec);
  const JobRecord record = {spec.name,
                            request.new_uid,
                            spec.text,
                            request.inputs,
                            spec.partitions,
                            request.now_ms,
                            {partitions.begin() + 1, partitions.end()},
                            spec.step_version,
                            spec.standbys,
                            spec.files};
  const std::vector<StreamConfig> streams = StreamsOf(record, spec, request.replicas);
  // Before anything is made: no stream can be this job's yet.
  const absl::StatusOr<std::vector<std::string>> names = bus.ListStreams();
  if (!names.ok()) return names.status();
  const absl::flat_hash_set<std::string> taken(names->begin(), names->end());
  const std::string key = JobKey(spec.name);
  for (const StreamConfig& stream : streams) {
    if (!taken.contains(stream.name)) continue;
    const absl::Status meanwhile = bus.GetKey(kJobsBucket, key).status();
    if (meanwhile.ok()) return std::nullopt;
    if (!absl::IsNotFound(meanwhile)) return meanwhile;
    const absl::StatusOr<StreamInfo> info = bus.GetStream(stream.name);
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) return info.status();
    return SomebodyElses(stream, *info);
  }
  const absl::Status made = bus.CreateKey(kJobsBucket, key, Encode(record)).status();
  if (absl::IsAlreadyExists(made)) return std::nullopt;
  if (!made.ok()) return made;
  const absl::Status ensured = EnsureStreams(bus, streams, request.stream_creators);
  if (ensured.ok()) return record;
  // Refused: too many copies, say, or a stream of another name covers a subject, which the server tells only
  // now. After no answer the streams may be there: the same command goes on with this record.
  if (!absl::IsUnavailable(ensured) && !absl::IsDeadlineExceeded(ensured)) Undo(bus, record, streams);
  return ensured;
}

// What a job that was submitted before put there may be cut off: all of it is put again that is not there.
absl::StatusOr<JobRecord> WithTables(Bus& bus, JobRecord job, const JobSpec& spec) {
  if (absl::Status tables = EnsureTables(bus, job.name, spec); !tables.ok()) return tables;
  return job;
}

}  // namespace

absl::Status EnsureTables(Bus& bus, const std::string& job, const JobSpec& spec) {
  for (const StageSpec* const stage : AllStages(spec.stages)) {
    const auto* const lookup = std::get_if<LookupStage>(&stage->what);
    if (lookup == nullptr || lookup->text == nullptr) continue;
    const auto file = std::find_if(spec.files.begin(), spec.files.end(),
                                   [&](const CodeFile& known) { return known.name == lookup->table; });
    MILLRACE_CHECK(file != spec.files.end());
    if (absl::Status put = PutTable(bus, job, *file, *lookup->text); !put.ok()) return put;
  }
  return absl::OkStatus();
}

absl::Status EnsureStreamsOfUpdate(Bus& bus, const JobRecord& job, const JobCode& code,
                                   size_t stream_creators) {
  const absl::StatusOr<StreamInfo> first =
      bus.GetStream(InputStream(job.name, kFirstSegment, PartitionId(0)));
  if (!first.ok()) return first.status();
  absl::flat_hash_set<std::string> before;
  for (size_t version = 0; version + 1 < code.size(); ++version) {
    for (const StreamConfig& stream : StreamsOf(job, code[version], first->config.replicas)) {
      before.insert(stream.name);
    }
  }
  std::vector<StreamConfig> streams = StreamsOf(job, code.back(), first->config.replicas);
  std::erase_if(streams, [&](const StreamConfig& stream) { return before.contains(stream.name); });
  return EnsureStreams(bus, streams, stream_creators);
}

std::vector<StreamConfig> StreamsOf(const JobRecord& job, const JobSpec& spec, int replicas) {
  std::vector<StreamConfig> streams;
  const auto add = [&](std::string name, std::string subject) -> StreamConfig& {
    StreamConfig config;
    config.name = std::move(name);
    config.subjects = {std::move(subject)};
    config.description = StreamDescription(job.uid);
    config.replicas = replicas;
    return streams.emplace_back(std::move(config));
  };
  add(DeadLetterStream(job.name), DeadLetterSubjects(job.name)).duplicate_window = kDeadLetterWindow;
  if (spec.source.unbounded() && !job.inputs.empty() && job.inputs.front().name == SourceStream(job.name)) {
    add(SourceStream(job.name), spec.source.subject).duplicate_window = kSourceWindow;
  }
  if (HasTables(spec)) add(TableStream(job.name), TableSubjects(job.name));
  for (const SegmentSpec& segment : SegmentsOf(spec)) {
    for (uint32_t i = 0; i < job.partitions_of(segment.id); ++i) {
      const PartitionId p(i);
      add(InputStream(job.name, segment.id, p), InputSubject(job.name, segment.id, p));
      if (segment.is_last()) add(ResultStream(job.name, p), ResultSubject(job.name, p));
      if (RunsUserCode(segment.job)) {
        add(VerdictStream(job.name, segment.id, p), VerdictSubject(job.name, segment.id, p));
      }
    }
  }
  return streams;
}

absl::StatusOr<JobRecord> EnsureJob(Bus& bus, const JobRequest& request) {
  for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    if (absl::Status made = bus.CreateBucket(bucket, request.replicas); !made.ok()) return made;
  }
  for (int tries = 0; tries < kMaxCreationTries; ++tries) {
    absl::StatusOr<std::optional<JobRecord>> record = FindRecord(bus, request);
    if (!record.ok()) return record.status();
    if (record->has_value()) {
      const absl::Status streams =
          EnsureStreams(bus, StreamsOf(**record, *request.spec, request.replicas), request.stream_creators);
      if (!streams.ok()) return streams;
      return WithTables(bus, **std::move(record), *request.spec);
    }
    record = MakeJob(bus, request);
    if (!record.ok()) return record.status();
    if (record->has_value()) return WithTables(bus, **std::move(record), *request.spec);
  }
  return absl::AbortedError(
      StrCat("job ", request.spec->name, " is being made and deleted by others meanwhile — try again"));
}

}  // namespace millrace
