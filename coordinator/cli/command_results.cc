// results: what a job put out, as lines.
#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/results/result_line.h"
#include "coordinator/results/result_reader.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/views/cluster.h"

namespace millrace {
namespace {

constexpr size_t kWriteBytes = 256 << 10;                // lines gathered before a write
constexpr uint64_t kMaxLatestBytes = uint64_t{2} << 30;  // what --latest may hold in memory

struct ResultsRequest {
  std::string job;
  bool follow = false;
  bool latest = false;
  std::optional<std::string> key;
  std::optional<int64_t> partition;
  int64_t from = 0;
};

// Forms lines and writes them in large pieces.
class LinePrinter {
 public:
  explicit LinePrinter(std::string form) : form_(std::move(form)) { buffer_.reserve(kWriteBytes * 2); }

  absl::Status Print(PartitionId partition, const RecordView& record) {
    if (form_ == "csv") {
      if (const absl::Status status = csv_.Append(record, partition, &buffer_); !status.ok()) return status;
    } else if (form_ == "raw") {
      AppendRawLine(record, &buffer_);
    } else {
      AppendResultLine(record, partition, &buffer_);
    }
    return buffer_.size() < kWriteBytes ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    const absl::Status status = WriteOut(buffer_);
    buffer_.clear();
    return status;
  }

 private:
  const std::string form_;
  CsvResultWriter csv_;
  std::string buffer_;
};

// The last result of each key, held in memory and printed in the order of their labels.
class LatestResults {
 public:
  absl::Status Add(PartitionId partition, RecordView record) {
    frame_.Reset(FrameKind::kResults);
    record.raw_headers = {};  // which no form prints
    if (record.fields != nullptr) record.shape = frame_.InternShape(*record.fields);
    frame_.Add(record);
    auto [at, is_new] = results_.try_emplace(std::string(record.key));
    bytes_ -= at->second.frame.size();
    at->second = {next_++, partition, std::string(frame_.Finish())};
    bytes_ += at->second.frame.size() + (is_new ? record.key.size() : 0);
    if (bytes_ <= kMaxLatestBytes) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        StrCat("the latest results take more than ", FormatSize(kMaxLatestBytes),
               " of memory — too many keys — try --partition, one at a time"));
  }
  absl::Status Print(LinePrinter& printer) const {
    std::vector<const Latest*> order;
    for (const auto& [key, latest] : results_) order.push_back(&latest);
    std::sort(order.begin(), order.end(),
              [](const Latest* a, const Latest* b) { return a->number < b->number; });
    FrameView frame;
    for (const Latest* latest : order) {
      if (const absl::Status status = frame.ParseInto(latest->frame); !status.ok()) return status;
      RecordView record;
      frame.records().Next(&record);
      if (const absl::Status status = printer.Print(latest->partition, record); !status.ok()) return status;
    }
    return printer.Flush();
  }

 private:
  struct Latest {
    uint64_t number = 0;
    PartitionId partition;
    std::string frame;  // of this one record
  };
  absl::flat_hash_map<std::string, Latest> results_;
  FrameBuilder frame_;
  uint64_t next_ = 0;
  uint64_t bytes_ = 0;
};

absl::StatusOr<ResultQuery> QueryOf(const ResultsRequest& request, const JobRecord& job) {
  ResultQuery query;
  query.key = request.key;
  query.from_offset = static_cast<uint64_t>(request.from);
  if (request.partition) {
    const uint32_t partitions = job.partitions_of(job.last_segment());
    if (*request.partition < 0 || *request.partition >= partitions) {
      return absl::InvalidArgumentError(StrCat("--partition ", *request.partition, " — results of job `",
                                               job.name, "` come in partitions 0 to ", partitions - 1));
    }
    query.partition = static_cast<uint32_t>(*request.partition);
  }
  return query;
}

absl::Status PrintLatest(ResultReader& reader, LinePrinter& printer) {
  LatestResults latest;
  const absl::Status status = reader.ReadAll(
      [&](PartitionId partition, const RecordView& record) { return latest.Add(partition, record); });
  return status.ok() ? latest.Print(printer) : status;
}

absl::Status PrintResults(Bus& bus, const ResultsRequest& request, const std::string& form) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  const auto query = QueryOf(request, *job);
  if (!query.ok()) return query.status();
  ResultReader reader(bus, SystemClock(), *job, *query);
  LinePrinter printer(form);
  if (request.latest) return PrintLatest(reader, printer);

  const auto print = [&](PartitionId partition, const RecordView& record) {
    return printer.Print(partition, record);
  };
  if (!request.follow) {
    const absl::Status status = reader.ReadAll(print);
    return status.ok() ? printer.Flush() : status;
  }
  const auto over = [&]() -> absl::StatusOr<bool> {
    const auto there = bus.GetKey(kJobsBucket, JobKey(job->name));
    if (absl::IsNotFound(there.status())) {
      return absl::NotFoundError(StrCat("job ", job->name, " was deleted while its results were followed"));
    }
    if (!there.ok()) return there.status();
    const auto entry = bus.GetKey(kAssignmentsBucket, FinalKey(job->uid));
    if (absl::IsNotFound(entry.status())) return false;
    if (!entry.ok()) return entry.status();
    return true;
  };
  return reader.Follow(print, over, [&] { return printer.Flush(); });
}

absl::Status CheckRequest(const ResultsRequest& request) {
  if (request.follow && request.latest) {
    return absl::InvalidArgumentError(
        "--follow with --latest — which line is a key's last is known only at the end — leave one of them "
        "out");
  }
  if (request.from < 0) {
    return absl::InvalidArgumentError(
        StrCat("--from ", request.from, " — it is no offset, they count from 1 — try --from 1"));
  }
  return absl::OkStatus();
}

}  // namespace

int RunResults(const Arguments& arguments) {
  ResultsRequest request;
  CommandLine command(
      "coordinator results JOB [--follow] [--latest] [--key K] [--partition P] [--from OFFSET] [-o "
      "jsonl|csv|raw]",
      "Prints a job's results, each once, in partition order.",
      "coordinator results delays --latest --key ATL");
  command.AddConnection();
  command.AddOutput({"jsonl", "csv", "raw"});
  Flags& flags = command.flags();
  flags.Positional("JOB", &request.job);
  flags.AddSwitch("follow", &request.follow, "print what comes until the job is over");
  flags.AddSwitch("latest", &request.latest,
                  "only the last result of each key (held in memory, up to 2 GiB)");
  flags.Add("key", &request.key, "K", "only this key's");
  flags.Add("partition", &request.partition, "P", "only this partition's");
  flags.Add("from", &request.from, "OFFSET", "only labels of this input offset and later ones");
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (const absl::Status s = CheckRequest(request); !s.ok()) return Fail(s);
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = PrintResults(**bus, request, command.output());
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
