#include "coordinator/chaos/director.h"

#include <algorithm>
#include <filesystem>

#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/chaos/collect.h"
#include "coordinator/chaos/ledger.h"
#include "coordinator/dev/local.h"

namespace millrace::chaos {
namespace {

constexpr absl::Duration kTurn = absl::Milliseconds(5);
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
constexpr absl::Duration kReadyDeadline = absl::Seconds(60);
constexpr size_t kFirstRecords = 1;  // a submit makes its job when it has read the first
constexpr absl::Duration kCleanUpDeadline = absl::Seconds(30);
constexpr int kStateTries = 20;
constexpr int kTurnsBetweenTries = 20;

std::vector<std::string> JobNames(const DirectorOptions& options) {
  const int64_t now_ms = absl::ToUnixMillis(absl::Now());
  std::vector<std::string> names;
  for (int ledger = 0; ledger < kLedgers; ++ledger) {
    std::string name(JobName(static_cast<LedgerKind>(ledger)));
    // In somebody else's cluster the names must not meet those of another run.
    if (!options.nats_url.empty()) StrAppend(&name, "-", now_ms);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

Director::Director(DirectorOptions options, Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      plan_(Plan(options_.scenario, options_.seed)),
      partitions_(options_.scenario.load.partitions),
      names_(JobNames(options_)),
      recoveries_(options_.scenario.cluster.recovery) {
  history_.entries = static_cast<int>(options_.scenario.faults.size());
  history_.recovery_bound = options_.scenario.cluster.recovery;
  for (const PlannedFault& fault : plan_) history_.faults.push_back({fault, {}, {}, "", "", 0, {}});
}

Director::~Director() {
  running_.clear();  // faults heal what they broke
  for (const auto& feeder : feeders_) feeder->Kill();
  if (nodes_ != nullptr) nodes_->Stop();
}

absl::StatusOr<History> Director::Run() {
  for (const auto step :
       {&Director::Prepare, &Director::StartCluster, &Director::StartFeeders, &Director::RunLoad,
        &Director::Drain, &Director::FinishJobs, &Director::Collect, &Director::CleanUp}) {
    if (absl::Status status = (this->*step)(); !status.ok()) return status;
  }
  return std::move(history_);
}

absl::Status Director::Prepare() {
  const LoadSpec& load = options_.scenario.load;
  for (int kind = 0; kind < kLedgers; ++kind) {
    const auto ledger = static_cast<LedgerKind>(kind);
    LedgerHistory history;
    history.kind = ledger;
    history.input = MakeInput(load, options_.seed,
                              ledger == LedgerKind::kLua ? OverrunsOf(load, plan_) : std::vector<int64_t>());
    history.partitions.resize(partitions_);
    overruns_.emplace_back(partitions_);
    outputs_.emplace_back(partitions_);
    std::string text;
    for (LedgerRecord& record : history.input) {
      if (SegmentOf(ledger) > 0) record.key = GroupOf(record.key);
      text += InputLine(record);
      ++(record.seq == 0 ? overruns_
                         : outputs_)[static_cast<size_t>(kind)][PlainPartition(record.key, partitions_)];
    }
    for (uint32_t p = 0; p < partitions_; ++p) history.partitions[p].stops_loudly = StopsLoudly(ledger, p);
    history_.ledgers.push_back(std::move(history));
    if (SegmentOf(ledger) > 0) continue;
    const std::string& name = JobNameOf(ledger);
    const std::string path = StrCat(options_.folder, "/", name);
    if (absl::Status status = WriteFile(path + ".jsonl", text); !status.ok()) return status;
    if (absl::Status status = WriteFile(path + ".yaml", JobText(ledger, name, load)); !status.ok())
      return status;
  }
  return WriteFile(options_.folder + "/plan.json", ToJson(plan_).dump(2) + "\n");
}

absl::Status Director::StartCluster() {
  std::string url = options_.nats_url;
  if (url.empty()) {
    nodes_ = std::make_unique<Nodes>(options_.scenario.cluster, options_.folder, options_.old_worker, clock_);
    if (absl::Status status = nodes_->Start(); !status.ok()) return status;
    url = nodes_->nats_url();
  }
  std::error_code error;
  std::filesystem::create_directories(options_.folder + "/logs", error);
  const auto addresses = PlainNats::ParseUrls(url);
  if (!addresses.ok()) return addresses.status();
  nats_ = std::make_unique<PlainNats>(*addresses);
  monitor_ = std::make_unique<Monitor>(*nats_, names_, partitions_);
  stage_ = {&clock_, nodes_.get(), nats_.get(), monitor_.get(), &feeders_, options_.scenario.cluster.lease};
  const auto program = FindSibling("coordinator");
  if (!program.ok()) return program.status();
  for (size_t job = 0; job < kLedgerJobs; ++job) {
    const std::string path = StrCat(options_.folder, "/", names_[job]);
    FeederOptions feeder{*program, url, path + ".yaml",
                         StrCat(options_.folder, "/logs/submit-", names_[job], ".log"),
                         options_.scenario.cluster.brokers};
    feeders_.push_back(std::make_unique<Feeder>(std::move(feeder), history_.ledgers[job].input, clock_));
  }
  return nodes_ != nullptr ? absl::OkStatus() : nats_->Api("INFO").status();
}

absl::Status Director::StartFeeders() {
  for (const auto& feeder : feeders_) {
    if (absl::Status status = feeder->Start(); !status.ok()) return status;
  }
  bool ready = false;
  if (absl::Status status = TurnUntil([this] { return monitor_->AllRun(); }, kReadyDeadline, &ready);
      !status.ok()) {
    return status;
  }
  if (ready) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("the ledgers do not run within ",
                                              millrace::FormatDuration(kReadyDeadline),
                                              " — the logs say why — see ", options_.folder, "/logs"));
}

absl::Status Director::Turn() {
  if (StopSignals() > 0) return absl::CancelledError("interrupted");
  if (nodes_ != nullptr) nodes_->Turn();
  const size_t due = Due();
  for (const auto& feeder : feeders_) feeder->Turn(due);
  if (clock_.Monotonic() >= next_look_) {
    next_look_ = clock_.Monotonic() + kLookInterval;
    Look();
  }
  if (loading_) TurnFaults();
  clock_.Sleep(kTurn);
  return absl::OkStatus();
}

absl::Status Director::TurnUntil(const std::function<bool()>& holds, absl::Duration bound, bool* held) {
  const absl::Duration until = clock_.Monotonic() + bound;
  while (!(*held = holds()) && clock_.Monotonic() < until) {
    if (absl::Status status = Turn(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool Director::BrokerIsUp() const { return nodes_ == nullptr || nodes_->MajorityUp(); }

size_t Director::Due() const {
  if (load_began_ == absl::ZeroDuration()) return kFirstRecords;
  const double due = absl::ToDoubleSeconds(Now()) * static_cast<double>(options_.scenario.load.rate);
  return kFirstRecords + static_cast<size_t>(due);
}

// What the broker does not answer now is looked at in the next round.
void Director::Look() {
  if (!BrokerIsUp() || !monitor_->Poll().ok()) return;
  if (!loading_) return;
  const bool disturbed =
      std::any_of(running_.begin(), running_.end(), [](const Running& r) { return r.begun; });
  for (const auto& recovered : recoveries_.Look(Out(), disturbed, Now())) {
    FaultOutcome& outcome = history_.faults[static_cast<size_t>(recovered.number - 1)];
    outcome.recovered = recovered.took;
    options_.on_fault(outcome);
    if (!disturbed) TakeSighting(outcome);
  }
}

absl::Status Director::RunLoad() {
  load_began_ = clock_.Monotonic();
  loading_ = true;
  const absl::Duration length = options_.scenario.load.duration;
  const auto fed = [&] {
    return std::all_of(feeders_.begin(), feeders_.end(), [this](const auto& feeder) {
      return feeder->most_written() >= Due() || feeder->most_written() >= history_.ledgers[0].input.size();
    });
  };
  while (true) {
    if (absl::Status status = Turn(); !status.ok()) return status;
    if (recoveries_.overdue()) {
      history_.stuck.push_back("the run was broken off: after a fault it did not go on");
      break;
    }
    const bool over = Now() > length && fed();
    const bool late = Now() > length + 2 * options_.scenario.cluster.recovery;
    if (over || late) std::erase_if(running_, [](const Running& running) { return !running.begun; });
    if ((over || late) && running_.empty() && !recoveries_.waiting()) break;
    if (Now() > length + 4 * options_.scenario.cluster.recovery) break;
  }
  GiveUpFaults();
  loading_ = false;
  return absl::OkStatus();
}

// A run that stands still already is not waited for again.
absl::Duration Director::Patience() const {
  return history_.stuck.empty() ? history_.recovery_bound : absl::ZeroDuration();
}

absl::Status Director::Drain() {
  bool drained = false;
  const auto all_out = [this] {
    const RecordCounts out = Out(), expected = Expected();
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i] < expected[i]) return false;
    }
    return true;
  };
  absl::Status status = TurnUntil(all_out, Patience(), &drained);
  if (!status.ok()) return status;
  if (!drained) history_.stuck.push_back("not every record that was fed came out");
  AskStates();
  return absl::OkStatus();
}

void Director::AskStates() {
  for (int kind = 0; kind < kLedgers; ++kind) {
    const auto ledger = static_cast<LedgerKind>(kind);
    for (uint32_t p = 0; p < partitions_; ++p) {
      PartitionHistory& partition = HistoryOf(ledger).partitions[p];
      if (partition.stops_loudly) continue;
      // A partition that moves just now has another owner in the next round.
      const int tries = history_.stuck.empty() ? kStateTries : 1;
      for (int attempt = 0; attempt < tries; ++attempt) {
        auto state = monitor_->AskState(ledger, p);
        if (state.ok()) {
          state->when = "at the end";
          state->at_end = true;
          partition.states.push_back(*std::move(state));
          break;
        }
        for (int i = 0; i < kTurnsBetweenTries && Turn().ok(); ++i) continue;
      }
    }
  }
}

absl::Status Director::FinishJobs() {
  for (const auto& feeder : feeders_) feeder->CloseAtEnd();
  const auto ended = [this] {
    bool all = true;
    for (LedgerHistory& ledger : history_.ledgers) {
      const bool waits =
          std::none_of(ledger.partitions.begin(), ledger.partitions.end(),
                       [](const PartitionHistory& partition) { return partition.stops_loudly; });
      if (!waits || !ledger.ended.empty()) continue;
      ledger.ended = monitor_->End(ledger.kind).value_or("");
      all = all && !ledger.ended.empty();
    }
    return all;
  };
  bool over = false;
  return TurnUntil(ended, Patience(), &over);  // what has not ended the checker sees
}

absl::Status Director::Collect() {
  for (LedgerHistory& ledger : history_.ledgers) {
    for (uint32_t p = 0; p < partitions_; ++p) ledger.partitions[p].owners = monitor_->owners(ledger.kind, p);
    if (SegmentOf(ledger.kind) > 0) continue;
    LedgerHistory* second = ledger.kind == LedgerKind::kFront ? &HistoryOf(LedgerKind::kBack) : nullptr;
    absl::Status status =
        CollectStreams(*nats_, JobNameOf(ledger.kind), monitor_->uid(ledger.kind), &ledger, second);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// In somebody else's cluster the ledgers do not stay.
absl::Status Director::CleanUp() {
  if (nodes_ != nullptr) return absl::OkStatus();
  const auto program = FindSibling("coordinator");
  if (!program.ok()) return program.status();
  for (size_t job = 0; job < kLedgerJobs; ++job) {
    const std::string& name = names_[job];
    for (const std::vector<std::string>& verb :
         {std::vector<std::string>{"cancel", name}, {"delete", name, "--yes"}}) {
      ProcessOptions command;
      command.arguments = {*program};
      command.arguments.insert(command.arguments.end(), verb.begin(), verb.end());
      command.arguments.insert(command.arguments.end(), {"--nats", options_.nats_url});
      command.log_file = options_.folder + "/logs/clean-up.log";
      auto process = Process::Start(command);
      if (!process.ok()) return process.status();
      bool ended = false;
      absl::Status status =
          TurnUntil([&] { return (*process)->HowItEnded().has_value(); }, kCleanUpDeadline, &ended);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Director::Dump() {
  if (!BrokerIsUp() || nats_ == nullptr) return absl::UnavailableError("nats-server does not run");
  return DumpStreams(*nats_, options_.folder + "/streams");
}

}  // namespace millrace::chaos
