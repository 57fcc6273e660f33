#include "coordinator/ingest/job_creation.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/job/job_difference.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxCreators = 8;  // threads; each stream costs the server some files
constexpr absl::Duration kDeadLetterWindow = absl::Minutes(2);

std::string Describe(const InputFile& input) {
  return StrCat(input.name, " (", input.bytes, " bytes, digest ", input.digest, ")");
}

absl::Status EnsureStream(Bus& bus, const StreamConfig& config) {
  absl::StatusOr<StreamInfo> stream = bus.CreateStream(config);
  // Ours with other settings, or somebody else's: its description tells.
  if (!stream.ok() &&
      (absl::IsAlreadyExists(stream.status()) || absl::IsFailedPrecondition(stream.status()))) {
    const absl::Status refused = stream.status();
    stream = bus.GetStream(config.name);
    if (absl::IsNotFound(stream.status())) return refused;  // a subject overlap, say
  }
  if (!stream.ok()) return stream.status();
  if (stream->config.description == config.description) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("stream ", config.name, " is there already and not this job's (its description is `",
             stream->config.description, "`, not `", config.description,
             "`) — delete it if nobody needs it, or submit with another --name"));
}

absl::Status EnsureStreams(Bus& bus, const std::vector<StreamConfig>& streams) {
  std::atomic<size_t> next{0};
  absl::Mutex mutex;
  absl::Status first_error;
  const auto create = [&] {
    for (size_t i = next++; i < streams.size(); i = next++) {
      const absl::Status status = EnsureStream(bus, streams[i]);
      absl::MutexLock lock(&mutex);
      if (first_error.ok()) first_error = status;
      if (!first_error.ok()) return;
    }
  };
  std::vector<std::thread> creators;
  for (size_t i = 1; i < std::min(kMaxCreators, streams.size()); ++i) creators.emplace_back(create);
  create();
  for (std::thread& creator : creators) creator.join();
  return first_error;
}

absl::StatusOr<JobRecord> EnsureRecord(Bus& bus, const JobRequest& request) {
  const JobSpec& spec = *request.spec;
  const JobRecord record = {spec.name,      request.new_uid, spec.text,
                            request.inputs, spec.partitions, request.now_ms};
  const std::string key = StrCat("job.", spec.name);
  const absl::Status made = bus.CreateKey(kJobsBucket, key, Encode(record)).status();
  if (made.ok()) return record;
  if (!absl::IsAlreadyExists(made)) return made;
  const absl::StatusOr<KeyValue> there = bus.GetKey(kJobsBucket, key);
  if (!there.ok()) return there.status();
  absl::StatusOr<JobRecord> known = DecodeJobRecord(there->value);
  if (!known.ok())
    return absl::DataLossError(StrCat("key ", key, " holds no job: ", ToStd(known.status().message())));
  const std::string difference = DescribeOtherJob(*known, spec, request.inputs);
  if (difference.empty()) return known;
  return absl::FailedPreconditionError(
      StrCat("job ", spec.name, " is there already and differs: ", difference,
             " — submit with another --name, or `coordinator delete ", spec.name, "` first"));
}

}  // namespace

std::string DescribeOtherJob(const JobRecord& there, const JobSpec& spec,
                             const std::vector<InputFile>& inputs) {
  const absl::StatusOr<JobSpec> before = ParseJob(there.name, there.spec_text);
  if (!before.ok()) return StrCat("its job file no longer reads: ", ToStd(before.status().message()));
  std::string difference = DescribeDifference(*before, spec);
  if (!difference.empty()) return difference;
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
  for (uint32_t i = 0; i < job.partitions; ++i) {
    const PartitionId p(i);
    add(InputStream(job.name, kOnlySegment, p), InputSubject(job.name, kOnlySegment, p));
    add(ResultStream(job.name, p), ResultSubject(job.name, p));
    if (RunsUserCode(spec)) {
      add(VerdictStream(job.name, kOnlySegment, p), VerdictSubject(job.name, kOnlySegment, p));
    }
  }
  return streams;
}

absl::StatusOr<JobRecord> EnsureJob(Bus& bus, const JobRequest& request) {
  for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    if (absl::Status made = bus.CreateBucket(bucket, request.replicas); !made.ok()) return made;
  }
  absl::StatusOr<JobRecord> record = EnsureRecord(bus, request);
  if (!record.ok()) return record.status();
  const absl::Status streams = EnsureStreams(bus, StreamsOf(*record, *request.spec, request.replicas));
  if (!streams.ok()) return streams;
  return record;
}

}  // namespace millrace
