#include "coordinator/bench/bench.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "common/append/appender.h"
#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/signals.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "coordinator/ingest/job_creation.h"

namespace millrace {
namespace {

constexpr absl::Duration kSilenceLimit = absl::Seconds(60);  // without a result
constexpr absl::Duration kBenchPollWait = absl::Milliseconds(1);
constexpr size_t kBenchEvents = 4096;
constexpr int kLatencySamples = 1000;
constexpr absl::Duration kLatencyInterval = absl::Milliseconds(5);  // a modest rate: 200 records a second

std::string BenchJobText(const BenchOptions& options) {
  return StrCat("name: ", options.job, "\nkey: k\npartitions: ", options.partitions,
                "\nstages:\n  - aggregate: { n: count(), total: sum(v) }\n    emit: each\n");
}

std::vector<std::string> InputSubjects(const BenchOptions& options) {
  std::vector<std::string> subjects;
  for (uint32_t p = 0; p < options.partitions; ++p) {
    subjects.push_back(InputSubject(options.job, kFirstSegment, PartitionId(p)));
  }
  return subjects;
}

// One measurement, from the feeding to the last result.
class Benchmark {
 public:
  Benchmark(Bus& bus, Clock& clock, const BenchOptions& options)
      : bus_(bus),
        clock_(clock),
        options_(options),
        appender_(bus, clock, InputSubjects(options),
                  DeadLetterSubject(options.job, kFirstSegment, PartitionId(0)), AppenderOptions()),
        partitions_(options.partitions) {}

  absl::StatusOr<BenchReport> Run() {
    if (const absl::Status status = Begin(); !status.ok()) return status;
    if (const absl::Status status = WaitForOwners(); !status.ok()) return status;
    BenchReport report;
    const absl::Duration began = clock_.Monotonic();
    if (const absl::Status status = FeedAll(); !status.ok()) return status;
    if (const absl::Status status = WaitForResults(); !status.ok()) return status;
    report.records = options_.records;
    report.seconds = absl::ToDoubleSeconds(clock_.Monotonic() - began);
    if (const absl::Status status = MeasureLatency(); !status.ok()) return status;
    report.latencies = std::move(latencies_);
    std::sort(report.latencies.begin(), report.latencies.end());
    return report;
  }

  ~Benchmark() {
    for (const Partition& partition : partitions_) bus_.CloseReader(partition.reader);
  }

 private:
  struct Partition {
    FrameBuilder builder;
    uint64_t fed = 0;      // records in frames that were pushed
    uint64_t results = 0;  // as the owner counts them
    ReaderId reader = 0;
    bool owned = false;
    uint64_t next_sequence = 1;          // of the result stream
    std::deque<absl::Duration> sent_at;  // of records whose latency is measured
  };

  absl::Status Begin() {
    const std::string key = EpochKey(options_.uid, kIngestWriter, Epoch(1));
    if (const auto claimed = bus_.CreateKey(kEpochsBucket, key, options_.job); !claimed.ok()) {
      return claimed.status();
    }
    for (uint32_t p = 0; p < options_.partitions; ++p) {
      OpenReader(p);
      partitions_[p].builder.Reset(FrameKind::kEpoch);
      Push(p, FrameKind::kEpoch, 0);
    }
    heard_at_ = clock_.Monotonic();
    return absl::OkStatus();
  }

  void OpenReader(uint32_t p) {
    ReaderOptions reader;
    reader.stream = ResultStream(options_.job, PartitionId(p));
    reader.start_sequence = partitions_[p].next_sequence;
    reader.headers_only = true;
    reader.name_hint = "bench";
    partitions_[p].reader = bus_.OpenReader(reader);
  }

  void Push(uint32_t p, FrameKind kind, uint32_t records) {
    Partition& partition = partitions_[p];
    MessageHeader header{kind, options_.uid, kIngestWriter, Epoch(1), Mark{partition.fed, 0}, {}, 0};
    partition.fed += records;
    header.upto = Mark{partition.fed, 0};
    header.records = partition.fed;
    PendingAppend append;
    append.header = FormatMessageHeader(header);
    append.payload = std::string(partition.builder.Finish());
    appender_.Push(p, std::move(append));
    partition.builder.Reset(FrameKind::kData);
  }

  // The record's partition.
  uint32_t Add(uint64_t number) {
    const std::string key = StrCat("k", number % options_.keys);
    value_.clear();
    PackWriter writer(&value_);
    writer.String(key);
    writer.Uint(number);
    const uint32_t p = PartitionOf(key, options_.partitions).value();
    FrameBuilder& builder = partitions_[p].builder;
    const std::string_view fields[] = {"k", "v"};
    RecordView record;
    record.key = key;
    record.value = value_;
    record.shape = builder.InternShape(fields);
    builder.Add(record);
    return p;
  }

  absl::Status FeedAll() {
    for (uint64_t n = 0; n < options_.records; ++n) {
      const uint32_t p = Add(n);
      if (partitions_[p].builder.record_count() < options_.frame_records) continue;
      Push(p, FrameKind::kData, options_.frame_records);
      do {
        if (const absl::Status status = Turn(absl::ZeroDuration()); !status.ok()) return status;
      } while (!appender_.HasRoom() || !appender_.HasRoom(p));
    }
    for (uint32_t p = 0; p < options_.partitions; ++p) {
      const uint32_t left = partitions_[p].builder.record_count();
      if (left > 0) Push(p, FrameKind::kData, left);
    }
    return absl::OkStatus();
  }

  // What a partition's opening takes is none of its records'. The first that an owner puts out is its epoch's mark.
  absl::Status WaitForOwners() {
    while (!std::all_of(partitions_.begin(), partitions_.end(),
                        [](const Partition& partition) { return partition.owned; })) {
      if (const absl::Status status = Turn(kBenchPollWait); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status WaitForResults() {
    while (std::any_of(partitions_.begin(), partitions_.end(),
                       [](const Partition& partition) { return partition.results < partition.fed; })) {
      if (const absl::Status status = Turn(kBenchPollWait); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status MeasureLatency() {
    absl::Duration due = clock_.Monotonic();
    for (int i = 0; i < kLatencySamples; ++i, due += kLatencyInterval) {
      while (clock_.Monotonic() < due) {
        if (const absl::Status status = Turn(kBenchPollWait); !status.ok()) return status;
      }
      const uint32_t p = Add(static_cast<uint64_t>(i));
      partitions_[p].sent_at.push_back(clock_.Monotonic());
      Push(p, FrameKind::kData, 1);
    }
    return WaitForResults();
  }

  absl::Status Turn(absl::Duration wait) {
    if (StopSignals() > 0) return absl::CancelledError("interrupted");
    events_.clear();
    bus_.Poll(wait, kBenchEvents, &events_);
    for (const BusEvent& event : events_) {
      if (event.type == BusEvent::Type::kMessage) {
        HandleResult(event);
      } else if (event.type == BusEvent::Type::kReaderError) {
        if (absl::IsNotFound(event.status)) return event.status;
        Reopen(event.reader);
      } else if (const absl::Status status = appender_.Handle(event); !status.ok()) {
        return status;
      }
    }
    if (clock_.Monotonic() - heard_at_ > kSilenceLimit) {
      return absl::DeadlineExceededError(StrCat("no result for ", absl::FormatDuration(kSilenceLimit),
                                                " — is a worker there? — try `coordinator workers`"));
    }
    return appender_.Tick();
  }

  Partition* Find(ReaderId reader) {
    const auto found = std::find_if(partitions_.begin(), partitions_.end(),
                                    [&](const Partition& partition) { return partition.reader == reader; });
    return found == partitions_.end() ? nullptr : &*found;
  }

  void Reopen(ReaderId reader) {
    if (Partition* partition = Find(reader))
      OpenReader(static_cast<uint32_t>(partition - partitions_.data()));
  }

  void HandleResult(const BusEvent& event) {
    Partition* partition = Find(event.reader);
    if (partition == nullptr) return;
    bus_.Grant(event.reader, 1, event.message.payload.size());
    partition->next_sequence = event.message.sequence + 1;
    const auto header = ParseMessageHeader(event.message.header);
    if (!header.ok() || header->uid != options_.uid) return;
    heard_at_ = clock_.Monotonic();
    partition->owned = true;
    while (partition->results < header->records) {
      ++partition->results;
      // Latency is measured when everything before was answered: what waits is the oldest.
      if (partition->sent_at.empty() || partition->results <= partition->fed - partition->sent_at.size())
        continue;
      latencies_.push_back(heard_at_ - partition->sent_at.front());
      partition->sent_at.pop_front();
    }
  }

  Bus& bus_;
  Clock& clock_;
  const BenchOptions options_;
  Appender appender_;
  std::vector<Partition> partitions_;
  std::vector<BusEvent> events_;
  std::vector<absl::Duration> latencies_;
  std::string value_;
  absl::Duration heard_at_;
};

}  // namespace

absl::Duration BenchReport::Percentile(double share) const {
  if (latencies.empty()) return absl::ZeroDuration();
  const auto at = static_cast<size_t>(share * static_cast<double>(latencies.size()));
  return latencies[std::min(at, latencies.size() - 1)];
}

nlohmann::ordered_json ToJson(const BenchReport& report) {
  const auto ms = [&](double share) { return absl::ToDoubleMilliseconds(report.Percentile(share)); };
  nlohmann::ordered_json json;
  json["records"] = report.records;
  json["seconds"] = report.seconds;
  json["records_per_second"] = static_cast<double>(report.records) / std::max(report.seconds, 1e-9);
  json["latency_ms"] = {{"p50", ms(0.5)}, {"p90", ms(0.9)}, {"p99", ms(0.99)}, {"max", ms(1.0)}};
  return json;
}

absl::StatusOr<BenchReport> RunBenchmark(Bus& bus, Clock& clock, const BenchOptions& options) {
  const auto spec = ParseJob("bench", BenchJobText(options));
  if (!spec.ok()) return spec.status();
  JobRequest request;
  request.spec = &*spec;
  request.new_uid = options.uid;
  request.now_ms = absl::ToUnixMillis(clock.Now());
  if (const auto job = EnsureJob(bus, request); !job.ok()) return job.status();
  return Benchmark(bus, clock, options).Run();
}

}  // namespace millrace
