#include <algorithm>

#include "absl/strings/numbers.h"
#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/chaos/scenario.h"

namespace millrace::chaos {
namespace {

constexpr size_t kMaxScenarioBytes = 64 << 10;
constexpr int64_t kMaxWorkers = 16;
constexpr int64_t kMaxCoordinators = 5;
constexpr int64_t kMaxBrokers = 3;
constexpr int64_t kMaxRate = 1'000'000;
constexpr int64_t kMaxKeys = 1'000'000;
constexpr int64_t kMaxCount = 10'000;
constexpr int64_t kMaxFaultPartitions = 256;

double Share(const YamlNode& value, std::string_view field, std::string_view example, YamlReader* reader) {
  double share = -1;
  if (!value.IsScalar() || !absl::SimpleAtod(value.text, &share) || !(share >= 0 && share <= 1)) {
    reader->FailValue(value, field, "a share from 0 to 1", example);
    return 0;
  }
  return share;
}

void ParseCluster(const YamlNode& value, ClusterSpec* cluster, YamlReader* reader) {
  constexpr std::string_view kExample = "cluster: { workers: 3, lease: 2s }";
  if (!reader->Mapping(value, "cluster", kExample)) return;
  reader->CheckKeys(value, "`cluster`",
                    {"workers", "coordinators", "brokers", "lease", "checkpoints", "recovery"},
                    {{"replicas", "say `brokers: 3`: every stream then has three copies"}});
  if (const YamlNode* workers = value.Find("workers")) {
    cluster->workers = reader->Integer(*workers, "workers", 1, kMaxWorkers, "workers: 3");
  }
  if (const YamlNode* coordinators = value.Find("coordinators")) {
    cluster->coordinators =
        reader->Integer(*coordinators, "coordinators", 1, kMaxCoordinators, "coordinators: 2");
  }
  if (const YamlNode* brokers = value.Find("brokers")) {
    cluster->brokers = reader->Choice<int64_t>(*brokers, "brokers", {{"1", 1}, {"3", 3}});
  }
  if (const YamlNode* lease = value.Find("lease")) {
    cluster->lease = reader->Duration(*lease, "lease", absl::Seconds(1), absl::Minutes(1), "lease: 2s");
  }
  if (const YamlNode* checkpoints = value.Find("checkpoints")) {
    cluster->checkpoints =
        reader->Duration(*checkpoints, "checkpoints", absl::Seconds(1), absl::Hours(1), "checkpoints: 2s");
  }
  if (const YamlNode* recovery = value.Find("recovery")) {
    cluster->recovery =
        reader->Duration(*recovery, "recovery", absl::Seconds(1), absl::Hours(1), "recovery: 20s");
  }
}

void ParseLoad(const YamlNode& value, LoadSpec* load, YamlReader* reader) {
  if (!reader->Mapping(value, "load", "load: { rate: 4000, duration: 30s }")) return;
  reader->CheckKeys(value, "`load`", {"rate", "duration", "keys", "partitions", "hot", "commit"},
                    {{"records", "say `rate` (records a second) and `duration`"}});
  if (const YamlNode* rate = value.Find("rate")) {
    load->rate = reader->Integer(*rate, "rate", 1, kMaxRate, "rate: 4000");
  }
  if (const YamlNode* duration = value.Find("duration")) {
    load->duration = reader->Duration(*duration, "duration", kMinLoad, kMaxLoad, "duration: 30s");
  }
  if (const YamlNode* keys = value.Find("keys")) {
    load->keys = reader->Integer(*keys, "keys", 1, kMaxKeys, "keys: 500");
  }
  if (const YamlNode* partitions = value.Find("partitions")) {
    load->partitions = static_cast<uint32_t>(
        reader->Integer(*partitions, "partitions", 1, kMaxFaultPartitions, "partitions: 8"));
  }
  if (const YamlNode* hot = value.Find("hot")) load->hot = Share(*hot, "hot", "hot: 0.9", reader);
  if (const YamlNode* commit = value.Find("commit")) {
    load->commit =
        reader->Duration(*commit, "commit", absl::Milliseconds(10), absl::Minutes(1), "commit: 50ms");
  }
}

std::vector<std::pair<std::string, FaultKind>> KindChoices() {
  std::vector<std::pair<std::string, FaultKind>> choices;
  for (int i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    choices.emplace_back(std::string(KindName(kind)), kind);
  }
  return choices;
}

std::vector<std::string> PointsOf(FaultKind kind) {
  if (kind == FaultKind::kKillIngest) return IngestPoints();
  std::vector<std::string> points = RunningPoints();
  points.insert(points.end(), OpeningPoints().begin(), OpeningPoints().end());
  points.insert(points.end(), CheckpointPoints().begin(), CheckpointPoints().end());
  return points;
}

// What a kind takes beside kind, count, when and every.
std::vector<std::string> OwnKeys(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKill:
      return {"at_point", "duration"};
    case FaultKind::kKillIngest:
      return {"at_point"};
    case FaultKind::kCutOff:
      return {"duration", "way"};
    case FaultKind::kSlowLink:
      return {"duration", "delay"};
    case FaultKind::kLossyLink:
      return {"duration", "loss"};
    case FaultKind::kScale:
      return {"duration", "workers"};
    case FaultKind::kClockJump:
      return {"duration", "by"};
    case FaultKind::kKillBroker:
      return {"duration", "brokers"};
    case FaultKind::kKillAll:
    case FaultKind::kKillLeader:
    case FaultKind::kPauseLeader:
    case FaultKind::kPause:
    case FaultKind::kZombie:
    case FaultKind::kFullDisk:
    case FaultKind::kFailingDisk:
    case FaultKind::kNoFiles:
    case FaultKind::kNoMemory:
      return {"duration"};
    default:
      return {};
  }
}

absl::Duration UsualDuration(FaultKind kind, absl::Duration lease) {
  switch (kind) {
    case FaultKind::kPauseLeader:
    case FaultKind::kPause:
    case FaultKind::kZombie:
      return 3 * lease;
    case FaultKind::kCutOff:
    case FaultKind::kNoFiles:
    case FaultKind::kNoMemory:
      return 2 * lease;
    case FaultKind::kFullDisk:
    case FaultKind::kFailingDisk:
    case FaultKind::kClockJump:
      return absl::Seconds(5);
    case FaultKind::kSlowLink:
    case FaultKind::kLossyLink:
      return absl::Seconds(3);
    case FaultKind::kScale:
      return absl::Seconds(8);
    case FaultKind::kKillBroker:
      return absl::Milliseconds(500);
    default:
      return absl::ZeroDuration();
  }
}

void ParsePoints(const YamlNode& value, FaultSpec* fault, YamlReader* reader) {
  const std::vector<std::string> known = PointsOf(fault->kind);
  const auto take = [&](const YamlNode& point) {
    const std::string name =
        reader->Text(point, "at_point", "a point or a list of them", "at_point: in_commit");
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      fault->points.push_back(name);
    } else {
      reader->FailWord(point, name, "no point has that name", known);
    }
  };
  if (!value.IsSequence()) return take(value);
  if (value.items.empty()) reader->FailValue(value, "at_point", "at least one", "at_point: [in_commit]");
  for (const YamlNode& point : value.items) take(point);
}

void ParseOwnKeys(const YamlNode& value, FaultSpec* fault, YamlReader* reader) {
  if (const YamlNode* points = value.Find("at_point")) ParsePoints(*points, fault, reader);
  if (const YamlNode* duration = value.Find("duration")) {
    fault->duration =
        reader->Duration(*duration, "duration", absl::ZeroDuration(), absl::Hours(1), "duration: 5s");
  }
  if (const YamlNode* way = value.Find("way")) {
    fault->way = reader->Choice<Way>(
        *way, "way",
        {{"both", Way::kBoth}, {"to_server", Way::kToServer}, {"from_server", Way::kFromServer}});
  }
  if (const YamlNode* delay = value.Find("delay")) {
    fault->delay = reader->Duration(*delay, "delay", absl::Milliseconds(1), absl::Minutes(1), "delay: 100ms");
  }
  if (const YamlNode* loss = value.Find("loss")) fault->loss = Share(*loss, "loss", "loss: 0.02", reader);
  if (const YamlNode* workers = value.Find("workers")) {
    fault->workers = reader->Integer(*workers, "workers", 1, kMaxWorkers, "workers: 4");
  }
  if (const YamlNode* by = value.Find("by")) {
    fault->by = reader->Duration(*by, "by", absl::Seconds(1), absl::Hours(24 * 365), "by: 1h");
  }
  if (const YamlNode* brokers = value.Find("brokers")) {
    fault->brokers = reader->Integer(*brokers, "brokers", 1, kMaxBrokers, "brokers: 2");
  }
}

// Stopped for less than its lease a process is only slow: nothing of what the fault is for would happen.
void CheckOutlastsLease(const YamlNode& value, const FaultSpec& fault, absl::Duration lease,
                        YamlReader* reader) {
  const bool must = fault.kind == FaultKind::kPause || fault.kind == FaultKind::kZombie ||
                    fault.kind == FaultKind::kPauseLeader;
  if (!must || fault.duration > lease) return;
  const YamlNode* duration = value.Find("duration");
  reader->Fail(duration != nullptr ? *duration : value,
               StrCat("`duration` is ", millrace::FormatDuration(fault.duration)),
               StrCat("the lease is ", millrace::FormatDuration(lease), ": nobody would take over"),
               StrCat("try `duration: ", millrace::FormatDuration(3 * lease), "`"));
}

FaultSpec ParseFault(const YamlNode& value, const Scenario& scenario, YamlReader* reader) {
  constexpr std::string_view kExample = "- { kind: kill, count: 3 }";
  FaultSpec fault;
  if (!reader->Mapping(value, "a fault", kExample)) return fault;
  const YamlNode* kind = reader->Required(value, "kind", "a fault", kExample);
  if (kind == nullptr) return fault;
  fault.kind = reader->Choice<FaultKind>(*kind, "kind", KindChoices());
  fault.duration = UsualDuration(fault.kind, scenario.cluster.lease);
  std::vector<std::string> keys = OwnKeys(fault.kind);
  keys.insert(keys.begin(), {"kind", "count", "when", "every"});
  reader->CheckKeys(value, StrCat("`", KindName(fault.kind), "`"), keys);
  if (const YamlNode* count = value.Find("count")) {
    fault.count = reader->Integer(*count, "count", 1, kMaxCount, "count: 3");
  }
  const absl::Duration end = scenario.load.duration;
  if (const YamlNode* when = value.Find("when")) {
    fault.when = reader->Duration(*when, "when", absl::ZeroDuration(), end, "when: 10s");
  }
  if (const YamlNode* every = value.Find("every")) {
    fault.every = reader->Duration(*every, "every", absl::Milliseconds(10), end, "every: 5s");
    const absl::Duration last = fault.when.value_or(*fault.every) + (fault.count - 1) * *fault.every;
    if (last > end) {
      reader->Fail(*every, StrCat("the last of ", fault.count, " comes at ", millrace::FormatDuration(last)),
                   StrCat("the load ends at ", millrace::FormatDuration(end)),
                   "a smaller `count`, or a longer `duration` in `load`");
    }
  }
  ParseOwnKeys(value, &fault, reader);
  CheckOutlastsLease(value, fault, scenario.cluster.lease, reader);
  return fault;
}

bool NeedsCheckpoints(const FaultSpec& fault) {
  if (fault.kind == FaultKind::kBadCheckpoint) return true;
  const std::vector<std::string>& points = CheckpointPoints();
  return std::any_of(fault.points.begin(), fault.points.end(), [&](const std::string& point) {
    return std::find(points.begin(), points.end(), point) != points.end();
  });
}

void CheckTogether(const YamlNode& root, const Scenario& scenario, YamlReader* reader) {
  for (size_t i = 0; i < scenario.faults.size(); ++i) {
    const FaultKind kind = scenario.faults[i].kind;
    const YamlNode& at = root.Find("faults")->items[i];
    const bool needs_another = kind == FaultKind::kPauseLeader && scenario.cluster.coordinators < 2;
    if (needs_another) {
      reader->Fail(at, StrCat("`", KindName(kind), "` with one coordinator"), "no other could lead",
                   "try `cluster: { coordinators: 2 }`");
    }
    const bool needs_brokers = kind == FaultKind::kLameDuck || kind == FaultKind::kStepDown;
    if (needs_brokers && scenario.cluster.brokers == 1) {
      reader->Fail(at, StrCat("`", KindName(kind), "` with one broker"), "no other could take over",
                   "try `cluster: { brokers: 3 }`");
    }
    if (scenario.faults[i].brokers > scenario.cluster.brokers) {
      reader->Fail(at, StrCat("`brokers` is ", scenario.faults[i].brokers),
                   StrCat("the cluster has ", scenario.cluster.brokers), "try `cluster: { brokers: 3 }`");
    }
    if (NeedsCheckpoints(scenario.faults[i]) && scenario.cluster.checkpoints == absl::ZeroDuration()) {
      reader->Fail(at, StrCat("`", KindName(kind), "` in a cluster without checkpoints"),
                   "there is nothing to hit", "try `cluster: { checkpoints: 2s }`");
    }
    const bool needs_worker =
        (kind == FaultKind::kPause || kind == FaultKind::kZombie || kind == FaultKind::kUpgrade) &&
        scenario.cluster.workers < 2;
    if (needs_worker) {
      reader->Fail(
          at, StrCat("`", KindName(kind), "` with one worker"),
          kind == FaultKind::kUpgrade ? "old and new would never run at once" : "no other could take over",
          "try `cluster: { workers: 2 }`");
    }
  }
}

void ParseRoot(const YamlNode& root, Scenario* scenario, YamlReader* reader) {
  if (!reader->Mapping(root, "a scenario", "name: mine")) return;
  reader->CheckKeys(root, "a scenario", {"name", "about", "cluster", "load", "faults"});
  if (const YamlNode* name = reader->Required(root, "name", "a scenario", "name: mine")) {
    scenario->name = name->text;
    if (!name->IsScalar() || !IsValidName(scenario->name)) {
      reader->FailValue(*name, "name", "1 to 64 letters, digits, _ and -", "name: mine");
    }
  }
  if (const YamlNode* about = root.Find("about")) {
    scenario->about = reader->Text(*about, "about", "a sentence", "about: a worker killed now and then");
  }
  if (const YamlNode* cluster = root.Find("cluster")) ParseCluster(*cluster, &scenario->cluster, reader);
  if (const YamlNode* load = root.Find("load")) ParseLoad(*load, &scenario->load, reader);
  const YamlNode* faults = reader->Required(root, "faults", "a scenario", "faults: [ { kind: kill } ]");
  if (faults == nullptr || !reader->Sequence(*faults, "faults", "faults: [ { kind: kill } ]")) return;
  if (faults->items.empty()) {
    reader->FailValue(*faults, "faults", "at least one fault", "faults: [ { kind: kill } ]");
  }
  for (const YamlNode& item : faults->items) scenario->faults.push_back(ParseFault(item, *scenario, reader));
  if (reader->ok()) CheckTogether(root, *scenario, reader);
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(std::string_view file_name, std::string_view text) {
  const auto root = ParseYaml(file_name, text, kMaxScenarioBytes);
  if (!root.ok()) return root.status();
  YamlReader reader{std::string(file_name)};
  Scenario scenario;
  ParseRoot(*root, &scenario, &reader);
  if (!reader.ok()) return reader.status();
  return scenario;
}

}  // namespace millrace::chaos
