// replay: a partition's log, step by step.
#include "common/clock.h"
#include "common/job/segments.h"
#include "common/strings.h"
#include "coordinator/cli/checkpoint_store.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/replay/replay_trace.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/verify/log_replayer.h"
#include "coordinator/views/cluster.h"

namespace millrace {
namespace {

constexpr size_t kReplayWriteBytes = 64 << 10;  // gathered before a write

struct ReplayRequest {
  std::string job;
  std::optional<std::string> key;
  std::optional<int64_t> partition;
  int64_t segment = 0;
  int64_t from = 0;
  std::optional<int64_t> to;
  std::string checkpoints;
  std::string plugins;
};

absl::Status CheckReplay(const ReplayRequest& request) {
  if (!request.partition) {
    return absl::InvalidArgumentError(
        "replay — it goes through one partition's log — try with --partition P; `coordinator state get JOB "
        "KEY` names a key's");
  }
  if (request.from < 0 || (request.to && *request.to < request.from)) {
    return absl::InvalidArgumentError("--from, --to — offsets rise from 1 — try --from A --to B with A <= B");
  }
  return absl::OkStatus();
}

absl::Status CheckPlace(const ReplayRequest& request, const JobRecord& job) {
  if (request.segment < 0 || request.segment >= static_cast<int64_t>(job.segments())) {
    return absl::InvalidArgumentError(StrCat("--segment ", request.segment, " — job `", job.name,
                                             "` has segments 0 to ", job.segments() - 1));
  }
  const uint32_t partitions = job.partitions_of(SegmentId(static_cast<uint32_t>(request.segment)));
  if (*request.partition < 0 || *request.partition >= partitions) {
    return absl::InvalidArgumentError(StrCat("--partition ", *request.partition, " — segment ",
                                             request.segment, " of job `", job.name, "` has partitions 0 to ",
                                             partitions - 1));
  }
  return absl::OkStatus();
}

// Prints units as they come: blocks for people, or one JSON array.
class UnitPrinter {
 public:
  explicit UnitPrinter(bool json) : json_(json), buffer_(json ? "[" : "") {}

  void Print(const ReplayedUnit& unit) {
    if (json_) buffer_ += first_ ? "\n" : ",\n";
    first_ = false;
    buffer_ += json_ ? ToJson(unit) : ToText(unit);
  }
  absl::Status Flush(size_t above) {
    if (buffer_.size() <= above) return absl::OkStatus();
    const absl::Status status = WriteOut(buffer_);
    buffer_.clear();
    return status;
  }
  absl::Status Finish() {
    if (json_) buffer_ += first_ ? "]\n" : "\n]\n";
    return Flush(0);
  }

 private:
  const bool json_;
  bool first_ = true;
  std::string buffer_;
};

absl::Status StepThrough(LogReplayer& log, const ReplayFilter& filter, ReplayTrace& trace,
                         UnitPrinter& printer) {
  while (log.replay().offset().value() < filter.to) {
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    const auto stepped = log.Step(trace);
    if (!stepped.ok()) return stepped.status();
    if (!*stepped) break;
    if (const absl::Status status = printer.Flush(kReplayWriteBytes); !status.ok()) return status;
  }
  return printer.Finish();
}

absl::Status Replay(Bus& bus, BlobStore* checkpoints, const ReplayRequest& request, bool json) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  if (const absl::Status status = CheckPlace(request, *job); !status.ok()) return status;
  CodeFiles files(request.plugins);
  const auto code = LoadJobCode(bus, *job, files);
  if (!code.ok()) return code.status();

  ReplayFilter filter;
  filter.from = static_cast<uint64_t>(request.from);
  if (request.to) filter.to = static_cast<uint64_t>(*request.to);
  filter.key = request.key;
  UnitPrinter printer(json);
  ReplayTrace trace(filter, [&](const ReplayedUnit& unit) { printer.Print(unit); });
  StreamSet streams(bus, SystemClock());
  const SegmentId segment(static_cast<uint32_t>(request.segment));
  const PartitionId partition(static_cast<uint32_t>(*request.partition));
  ReplayStarts starts(bus, checkpoints);
  ReplayWish wish;
  if (checkpoints != nullptr && filter.from > 0) wish.before = Offset(filter.from);
  const auto start = starts.Find(*job, code->front().retain, segment, partition, wish);
  if (!start.ok()) return start.status();
  for (const std::string& note : starts.notes()) Say(note);
  LocalHandlers handlers({.name = "replay", .check = CheckInterrupted}, SystemClock());
  const auto log = LogReplayer::Open(bus, streams, SystemClock(), *job, SegmentVersionsOf(*code, segment),
                                     partition, starts, *start, {&trace, &handlers});
  if (!log.ok()) return log.status();
  trace.Watch(&(*log)->replay());
  if (const absl::Status status = StepThrough(**log, filter, trace, printer); !status.ok()) return status;
  const PartitionReplay& replay = (*log)->replay();
  Say(StrCat("replayed offsets ", start->offset.value() + 1, " to ", replay.offset().value(), " of ",
             (*log)->end().value(), ", ", replay.dropped_messages(), " messages dropped, ", trace.shown(),
             " steps shown"));
  return absl::OkStatus();
}

}  // namespace

int RunReplay(const Arguments& arguments) {
  ReplayRequest request;
  CommandLine command(
      "coordinator replay JOB --partition P [--segment S] [--key K] [--from A] [--to B] [--checkpoints URL] "
      "[--plugins DIR] [-o table|json]",
      "Runs a partition's log again here, step by step and without effects: each record with its key's state "
      "before and after, and what came of it.",
      "coordinator replay delays --partition 3 --key ATL --from 17");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  Flags& flags = command.flags();
  flags.Positional("JOB", &request.job);
  flags.Add("partition", &request.partition, "P", "whose log");
  flags.Add("segment", &request.segment, "S", "of which segment");
  flags.Add("key", &request.key, "K", "show only this key's steps");
  flags.Add("from", &request.from, "A",
            "show from this offset on (the log runs from its start, or the checkpoint before, all the same)");
  flags.Add("to", &request.to, "B", "stop behind this offset");
  AddCheckpointsFlag(flags, &request.checkpoints);
  AddPluginsFlag(flags, &request.plugins);
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (const absl::Status status = CheckReplay(request); !status.ok()) return Fail(status);
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const auto store = OpenCheckpoints(command, request.checkpoints);
  if (!store.ok()) return Fail(store.status());
  const absl::Status status = Replay(**bus, store->get(), request, command.json());
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
