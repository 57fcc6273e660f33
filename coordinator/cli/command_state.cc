// state get, state scan: asked of the owner; for a job that is over, computed here from its log, and from the newest
// checkpoints where they are known.
#include <algorithm>

#include "common/clock.h"
#include "common/cluster/job_code.h"
#include "common/job/branches.h"
#include "common/job/segments.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/cli/checkpoint_store.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/cli/table.h"
#include "coordinator/state/owner_query.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/verify/log_replayer.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxScanLimit = 1'000'000;
constexpr ReplayWish kNearestToTheEnd = {.before = Offset(UINT64_MAX)};

struct StateRequest {
  std::string verb, job, key, prefix;
  int64_t limit = 100;
  std::optional<int64_t> segment;
  std::string output;
  std::string plugins;
};

class NoOutput : public StepSink {
 public:
  void Emit(const RecordView&) override {}
  void Reject(const DeadLetter&) override {}
};

struct Row {
  std::string key;
  Json line;
};

// A partition of one of the job's segments.
struct Place {
  SegmentId segment;
  PartitionId partition;
};

Row MakeRow(const std::string& key, const Json& value, const Place& place, uint64_t offset) {
  Json line;
  PutBytes(line, "key", key);
  line["value"] = value;
  line["segment"] = place.segment.value();
  line["partition"] = place.partition.value();
  line["offset"] = offset;
  return {key, std::move(line)};
}

// Where rows of one partition come from: its owner, or a replay.
class StateSource {
 public:
  virtual ~StateSource() = default;
  virtual absl::StatusOr<Row> Get(const Place& place, const std::string& key) = 0;
  // Up to `limit` rows in byte order of the key.
  virtual absl::StatusOr<std::vector<Row>> Scan(const Place& place, const std::string& prefix,
                                                size_t limit) = 0;
};

class OwnerSource : public StateSource {
 public:
  OwnerSource(Bus& bus, const JobRecord& job) : bus_(bus), job_(job) {}

  absl::StatusOr<Row> Get(const Place& place, const std::string& key) override {
    const auto row = GetFromOwner(bus_, SystemClock(), job_, place.segment, place.partition, key);
    if (!row.ok()) return row.status();
    return MakeRow(row->key, row->value, place, row->offset);
  }

  absl::StatusOr<std::vector<Row>> Scan(const Place& place, const std::string& prefix,
                                        size_t limit) override {
    const auto found = ScanOwner(bus_, SystemClock(), job_, place.segment, place.partition, prefix, limit);
    if (!found.ok()) return found.status();
    std::vector<Row> rows;
    for (const OwnerRow& row : *found) rows.push_back(MakeRow(row.key, row.value, place, row.offset));
    return rows;
  }

 private:
  Bus& bus_;
  const JobRecord& job_;
};

class ReplaySource : public StateSource {
 public:
  ReplaySource(Bus& bus, const JobRecord& job, const JobCode& code, BlobStore* checkpoints)
      : bus_(bus), job_(job), code_(code), starts_(bus, checkpoints) {}

  absl::StatusOr<Row> Get(const Place& place, const std::string& key) override {
    StreamSet streams(bus_, SystemClock());
    const auto log = Replay(streams, place);
    if (!log.ok()) return log.status();
    PartitionReplay& replay = (*log)->replay();
    const auto json = replay.pipeline().StateJson(replay.state(), key);
    if (!json.ok()) return json.status();
    return MakeRow(key, Json::parse(*json, nullptr, false), place, replay.offset().value());
  }

  absl::StatusOr<std::vector<Row>> Scan(const Place& place, const std::string& prefix,
                                        size_t limit) override {
    StreamSet streams(bus_, SystemClock());
    const auto log = Replay(streams, place);
    if (!log.ok()) return log.status();
    PartitionReplay& replay = (*log)->replay();
    std::vector<Row> rows;
    const absl::Status status = replay.pipeline().ScanStateJson(
        replay.state(), {.prefix = prefix, .most = limit},
        [&](std::string_view key, const std::string& json) {
          rows.push_back(
              MakeRow(std::string(key), Json::parse(json, nullptr, false), place, replay.offset().value()));
          return true;
        });
    if (!status.ok()) return status;
    return rows;
  }

 private:
  absl::StatusOr<std::unique_ptr<LogReplayer>> Replay(StreamSet& streams, const Place& place) {
    const auto start =
        starts_.Find(job_, code_.front().retain, place.segment, place.partition, kNearestToTheEnd);
    if (!start.ok()) return start.status();
    auto log = LogReplayer::Open(bus_, streams, SystemClock(), job_, SegmentVersionsOf(code_, place.segment),
                                 place.partition, starts_, *start, {.handlers = &handlers_});
    if (!log.ok()) return log.status();
    NoOutput sink;
    while (true) {
      const auto stepped = (*log)->Step(sink);
      if (!stepped.ok()) return stepped.status();
      if (!*stepped) return log;
    }
  }

  Bus& bus_;
  const JobRecord& job_;
  const JobCode& code_;
  ReplayStarts starts_;
  LocalHandlers handlers_{{.name = "state", .check = CheckInterrupted}, SystemClock()};
};

// A table, a line each, or with json one document: the row of `get`, the list of `scan`.
absl::Status PrintRows(const std::vector<Row>& rows, const StateRequest& request) {
  if (request.output == "jsonl") {
    std::string text;
    for (const Row& row : rows) text += JsonText(row.line) + "\n";
    return WriteOut(text);
  }
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(row.line);
  if (request.output == "table") {
    return WriteOut(FormatTable({{"key", "KEY"},
                                 {"value", "VALUE"},
                                 {"segment", "SEGMENT"},
                                 {"partition", "PARTITION"},
                                 {"offset", "OFFSET"}},
                                list, UseColor() ? TableStyle::kColor : TableStyle::kPlain));
  }
  return WriteOut(JsonText(request.verb == "scan" ? list : list.front(), 2) + "\n");
}

// The segments that are asked, the last first: the one that was wanted, or all that keep state.
absl::StatusOr<std::vector<SegmentId>> SegmentsToAsk(const JobSpec& spec, const StateRequest& request) {
  const std::vector<SegmentSpec> segments = SegmentsOf(spec);
  if (request.segment.has_value()) {
    if (*request.segment < 0 || static_cast<size_t>(*request.segment) >= segments.size()) {
      return absl::InvalidArgumentError(StrCat("--segment ", *request.segment, " — job `", request.job,
                                               "` has segments 0 to ", segments.size() - 1));
    }
    return std::vector<SegmentId>{SegmentId(static_cast<uint32_t>(*request.segment))};
  }
  std::vector<SegmentId> keeping;
  for (const SegmentSpec& segment : segments) {
    const std::vector<const StageSpec*> stages = AllStages(segment.job.stages);
    const bool keeps =
        std::any_of(stages.begin(), stages.end(), [](const StageSpec* stage) { return KeepsState(*stage); });
    if (keeps) keeping.insert(keeping.begin(), segment.id);
  }
  if (keeping.empty()) {
    return absl::NotFoundError(StrCat("no state in `", request.job,
                                      "` — none of its stages keeps any — try `coordinator "
                                      "results ",
                                      request.job, "`"));
  }
  return keeping;
}

absl::Status Get(StateSource& source, const JobRecord& job, const StateRequest& request,
                 const std::vector<SegmentId>& segments) {
  absl::Status none;
  for (const SegmentId segment : segments) {
    const PartitionId partition = PartitionOf(request.key, job.partitions_of(segment));
    const auto row = source.Get({segment, partition}, request.key);
    if (row.ok()) return PrintRows({*row}, request);
    if (!absl::IsNotFound(row.status())) return row.status();
    none = row.status();
  }
  return absl::NotFoundError(StrCat("no state of key `", request.key, "` in `", job.name, "` — ",
                                    ToStd(none.message()), " — try `coordinator state scan ", job.name, "`"));
}

absl::Status Scan(StateSource& source, const JobRecord& job, const StateRequest& request, SegmentId segment) {
  std::vector<Row> rows;
  const auto limit = static_cast<size_t>(request.limit);
  for (uint32_t p = 0; p < job.partitions_of(segment); ++p) {
    auto page = source.Scan({segment, PartitionId(p)}, request.prefix, limit);
    if (!page.ok()) return page.status();
    rows.insert(rows.end(), std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    if (rows.size() > limit) rows.resize(limit);
  }
  if (rows.size() == limit) Say(StrCat("the first ", limit, " keys; --limit N shows more"));
  return PrintRows(rows, request);
}

absl::Status Answer(StateSource& source, const JobRecord& job, const JobSpec& spec,
                    const StateRequest& request) {
  const auto segments = SegmentsToAsk(spec, request);
  if (!segments.ok()) return segments.status();
  if (request.verb == "get") return Get(source, job, request, *segments);
  return Scan(source, job, request, segments->front());
}

absl::Status Run(Bus& bus, BlobStore* checkpoints, const StateRequest& request) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  const FinalStatus* final_status = cluster->FindFinal(job->uid);
  CodeFiles files(request.plugins);
  const auto code = final_status == nullptr ? ReadJobCode(bus, *job) : LoadJobCode(bus, *job, files);
  if (!code.ok()) return code.status();
  if (final_status == nullptr) {
    OwnerSource source(bus, *job);
    return Answer(source, *job, code->back(), request);
  }
  ReplaySource source(bus, *job, *code, checkpoints);
  if (const absl::Status status = Answer(source, *job, code->back(), request); !status.ok()) return status;
  Say(StrCat("`", job->name, "` is ", final_status->state,
             " and nobody owns its state: the log was replayed here"));
  return absl::OkStatus();
}

}  // namespace

int RunState(const Arguments& arguments) {
  StateRequest request;
  std::string checkpoints;
  CommandLine command(
      "coordinator state get JOB KEY | state scan JOB [--prefix P] [--limit N] [--segment S] "
      "[--checkpoints URL] [--plugins DIR] [-o jsonl|json|table]",
      "Shows the state of keys, a JSON line each, asked of the partition's owner at its last "
      "offset. In a job of "
      "several segments: the last one that has the key; of scan, the last that keeps state.",
      "coordinator state get delays ATL");
  command.AddConnection();
  command.AddOutput({"jsonl", "json", "table"});
  Flags& flags = command.flags();
  flags.Positional("get|scan", &request.verb);
  flags.Positional("JOB", &request.job);
  flags.OptionalPositional("KEY", &request.key);
  flags.Add("prefix", &request.prefix, "P", "scan: only keys that begin so");
  flags.Add("segment", &request.segment, "S", "ask this segment; `key_by` ends one, the first is 0");
  AddCheckpointsFlag(flags, &checkpoints);
  AddPluginsFlag(flags, &request.plugins);
  flags.Add("limit", &request.limit, "N", "scan: at most so many keys");
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (request.verb != "get" && request.verb != "scan") {
    return Fail(absl::InvalidArgumentError(
        StrCat("state ", request.verb,
               " — there is `state get` and `state scan` — try `coordinator state --help`")));
  }
  // An empty key is a key, but one has to say so.
  const bool names_key = !request.key.empty() || std::count(arguments.begin(), arguments.end(), "") > 0;
  if (request.verb == "get" && !names_key) {
    return Fail(absl::InvalidArgumentError(StrCat("state get ", request.job,
                                                  " — which key? — try `coordinator state get ", request.job,
                                                  " KEY`, or `coordinator state scan ", request.job, "`")));
  }
  request.output = command.output();
  if (request.limit < 1 || request.limit > kMaxScanLimit) {
    return Fail(absl::InvalidArgumentError(
        StrCat("--limit ", request.limit, " — it is 1 to ", kMaxScanLimit, " — try --limit 100")));
  }
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const auto store = OpenCheckpoints(command, checkpoints);
  if (!store.ok()) return Fail(store.status());
  const absl::Status status = Run(**bus, store->get(), request);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
