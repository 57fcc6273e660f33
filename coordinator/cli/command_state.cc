// state get, state scan: asked of the owner; for a job that is over, computed here from its log.
#include <algorithm>

#include "common/clock.h"
#include "common/job/job_parser.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "common/value/value.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/context.h"
#include "coordinator/state/owner_query.h"
#include "coordinator/verify/log_replayer.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxScanLimit = 1'000'000;
constexpr int64_t kScanPageRows = 1000;  // asked of an owner at a time

struct StateRequest {
  std::string verb, job, key, prefix;
  int64_t limit = 100;
  bool json = false;
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

Row MakeRow(const std::string& key, const Json& value, PartitionId partition, uint64_t offset) {
  Json line;
  if (IsValidUtf8(key)) {
    line["key"] = key;
  } else {
    line["key_base64"] = Base64(key);
  }
  line["value"] = value;
  line["partition"] = partition.value();
  line["offset"] = offset;
  return {key, std::move(line)};
}

// Where rows of one partition come from: its owner, or a replay.
class StateSource {
 public:
  virtual ~StateSource() = default;
  virtual absl::StatusOr<Row> Get(PartitionId partition, const std::string& key) = 0;
  // Up to `limit` rows in byte order of the key.
  virtual absl::StatusOr<std::vector<Row>> Scan(PartitionId partition, const std::string& prefix,
                                                size_t limit) = 0;
};

class OwnerSource : public StateSource {
 public:
  OwnerSource(Bus& bus, const JobRecord& job) : bus_(bus), job_(job) {}

  absl::StatusOr<Row> Get(PartitionId partition, const std::string& key) override {
    const auto answer = AskOwner(bus_, SystemClock(), job_, partition, {{"verb", "get"}, {"key", key}});
    if (!answer.ok()) return answer.status();
    return MakeRow(key, answer->value("value", Json()), partition, answer->value("offset", uint64_t{0}));
  }

  absl::StatusOr<std::vector<Row>> Scan(PartitionId partition, const std::string& prefix,
                                        size_t limit) override {
    std::vector<Row> rows;
    std::string after;
    while (rows.size() < limit) {
      Json question = {{"verb", "scan"}, {"prefix", prefix}};
      question["limit"] = std::min<size_t>(limit - rows.size(), kScanPageRows);
      if (!after.empty()) question["after"] = after;
      const auto answer = AskOwner(bus_, SystemClock(), job_, partition, question);
      if (!answer.ok()) return answer.status();
      const Json page = answer->value("rows", Json::array());
      for (const Json& row : page) {
        after = row.value("key", "");
        rows.push_back(
            MakeRow(after, row.value("value", Json()), partition, answer->value("offset", uint64_t{0})));
      }
      if (page.empty() || !answer->value("more", false)) break;
    }
    return rows;
  }

 private:
  Bus& bus_;
  const JobRecord& job_;
};

class ReplaySource : public StateSource {
 public:
  ReplaySource(Bus& bus, const JobRecord& job, const JobSpec& spec) : bus_(bus), job_(job), spec_(spec) {}

  absl::StatusOr<Row> Get(PartitionId partition, const std::string& key) override {
    StreamSet streams(bus_, SystemClock());
    const auto log = Replay(streams, partition);
    if (!log.ok()) return log.status();
    PartitionReplay& replay = (*log)->replay();
    const auto json = replay.pipeline().StateJson(replay.state(), key);
    if (!json.ok()) return json.status();
    return MakeRow(key, Json::parse(*json, nullptr, false), partition, replay.offset().value());
  }

  absl::StatusOr<std::vector<Row>> Scan(PartitionId partition, const std::string& prefix,
                                        size_t limit) override {
    StreamSet streams(bus_, SystemClock());
    const auto log = Replay(streams, partition);
    if (!log.ok()) return log.status();
    PartitionReplay& replay = (*log)->replay();
    std::vector<Row> rows;
    const absl::Status status = replay.pipeline().ScanStateJson(
        replay.state(), prefix, limit, [&](std::string_view key, const std::string& json) {
          rows.push_back(MakeRow(std::string(key), Json::parse(json, nullptr, false), partition,
                                 replay.offset().value()));
          return rows.size() < limit;
        });
    if (!status.ok()) return status;
    return rows;
  }

 private:
  absl::StatusOr<std::unique_ptr<LogReplayer>> Replay(StreamSet& streams, PartitionId partition) {
    auto log = LogReplayer::Open(bus_, streams, SystemClock(), job_, spec_, partition);
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
  const JobSpec& spec_;
};

// A line each; with -o json one document: the row of `get`, the list of `scan`.
absl::Status PrintRows(const std::vector<Row>& rows, const StateRequest& request) {
  const auto text_of = [](const Json& json, int indent) {
    return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
  };
  std::string text;
  if (request.json && request.verb == "scan") {
    Json list = Json::array();
    for (const Row& row : rows) list.push_back(row.line);
    return WriteOut(text_of(list, 2));
  }
  for (const Row& row : rows) text += text_of(row.line, request.json ? 2 : -1);
  return WriteOut(text);
}

absl::Status Answer(StateSource& source, const JobRecord& job, const StateRequest& request) {
  if (request.verb == "get") {
    const auto row = source.Get(PartitionOf(request.key, job.partitions), request.key);
    if (absl::IsNotFound(row.status())) {
      return absl::NotFoundError(StrCat("no state of key `", request.key, "` in `", job.name, "` — ",
                                        ToStd(row.status().message()), " — try `coordinator state scan ",
                                        job.name, "`"));
    }
    return row.ok() ? PrintRows({*row}, request) : row.status();
  }
  std::vector<Row> rows;
  const auto limit = static_cast<size_t>(request.limit);
  for (uint32_t p = 0; p < job.partitions; ++p) {
    auto page = source.Scan(PartitionId(p), request.prefix, limit);
    if (!page.ok()) return page.status();
    rows.insert(rows.end(), std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    if (rows.size() > limit) rows.resize(limit);
  }
  if (rows.size() == limit) Say(StrCat("the first ", limit, " keys; --limit N shows more"));
  return PrintRows(rows, request);
}

absl::Status Run(Bus& bus, const StateRequest& request) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  const FinalStatus* final_status = cluster->FindFinal(job->uid);
  if (final_status == nullptr) {
    OwnerSource source(bus, *job);
    return Answer(source, *job, request);
  }
  const auto spec = ParseJob(job->name, job->spec_text);
  if (!spec.ok()) return spec.status();
  ReplaySource source(bus, *job, *spec);
  if (const absl::Status status = Answer(source, *job, request); !status.ok()) return status;
  Say(StrCat("`", job->name, "` is ", final_status->state,
             " and nobody owns its state: the log was replayed here"));
  return absl::OkStatus();
}

}  // namespace

int RunState(const Arguments& arguments) {
  StateRequest request;
  CommandLine command(
      "coordinator state get JOB KEY | state scan JOB [--prefix P] [--limit N]",
      "Shows the state of keys, a JSON line each, asked of the partition's owner at its last offset.",
      "coordinator state get delays ATL");
  command.AddConnection();
  command.AddOutput({"jsonl", "json"});
  Flags& flags = command.flags();
  flags.Positional("get|scan", &request.verb);
  flags.Positional("JOB", &request.job);
  flags.OptionalPositional("KEY", &request.key);
  flags.Add("prefix", &request.prefix, "P", "scan: only keys that begin so");
  flags.Add("limit", &request.limit, "N", "scan: at most so many keys");
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (request.verb != "get" && request.verb != "scan") {
    return Fail(absl::InvalidArgumentError(
        StrCat("state ", request.verb,
               " — there is `state get` and `state scan` — try `coordinator state --help`")));
  }
  request.json = command.json();
  if (request.limit < 1 || request.limit > kMaxScanLimit) {
    return Fail(
        absl::InvalidArgumentError(StrCat("--limit ", request.limit, " — between 1 and ", kMaxScanLimit)));
  }
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = Run(**bus, request);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
