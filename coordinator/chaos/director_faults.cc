// The director's dealings with faults, and the counts by which it knows whether all goes on.
#include <algorithm>
#include <set>

#include "common/strings.h"
#include "coordinator/chaos/director.h"

namespace millrace::chaos {

void Director::TurnFaults() {
  while (next_fault_ < plan_.size() && plan_[next_fault_].at <= Now()) {
    running_.push_back({next_fault_, Fault::Make(plan_[next_fault_], stage_), false});
    ++next_fault_;
  }
  for (Running& running : running_) {
    if (!running.begun && HasTarget(running) && MayBegin(*running.fault)) Begin(running);
    if (running.begun && running.fault->Turn()) End(running);
  }
  std::erase_if(running_, [](const Running& running) { return running.fault == nullptr; });
}

bool Director::HasTarget(const Running& running) const {
  const PlannedFault& plan = plan_[running.outcome];
  return !running.fault->NeedsPartition() || Now() > plan.at + kTargetPatience ||
         !monitor_->OwnedBy(Nodes::Worker(plan.worker)).empty();
}

// While the broker, or the majority of three, is away nothing else begins: nobody could see what it does.
bool Director::MayBegin(const Fault& fault) const {
  std::set<std::string> held;
  for (const Running& running : running_) {
    if (!running.begun || running.fault == nullptr) continue;
    for (const std::string& name : running.fault->Holds()) held.insert(name);
  }
  if (held.contains(Nodes::kMajority) || !BrokerIsUp()) return false;
  const std::vector<std::string> wanted = fault.Holds();
  return std::none_of(wanted.begin(), wanted.end(),
                      [&](const std::string& name) { return held.contains(name); });
}

void Director::Begin(Running& running) {
  static_cast<void>(monitor_->Poll());  // what it hits is told as of now
  FaultOutcome& outcome = history_.faults[running.outcome];
  outcome.in_flight = monitor_->InFlight();
  outcome.began = Now();
  running.begun = true;
  running.fault->Start();
}

void Director::End(Running& running) {
  FaultOutcome& outcome = history_.faults[running.outcome];
  outcome.ended = Now();
  outcome.effect = running.fault->effect();
  outcome.note = running.fault->note();
  running.fault = nullptr;
  if (BrokerIsUp()) static_cast<void>(monitor_->Poll());
  recoveries_.Begin(outcome.plan.number, Fed(), Now());
}

// What an owner says of one partition's whole state, between two faults.
void Director::TakeSighting(const FaultOutcome& outcome) {
  const auto number = static_cast<uint32_t>(outcome.plan.number);
  const auto ledger = static_cast<LedgerKind>(number % kLedgers);
  const uint32_t partition = number / kLedgers % partitions_;
  if (StopsLoudly(ledger, partition)) return;
  auto state = monitor_->AskState(ledger, partition);
  if (!state.ok()) return;  // it moves: the next sighting is another's
  state->when = StrCat("after fault ", number);
  HistoryOf(ledger).partitions[partition].states.push_back(*std::move(state));
}

void Director::GiveUpFaults() {
  running_.clear();
  for (FaultOutcome& outcome : history_.faults) {
    if (outcome.effect.empty() && outcome.note.empty()) outcome.note = "its time never came";
    const bool told = outcome.recovered.has_value();
    if (!told) options_.on_fault(outcome);
  }
}

bool Director::StopsLoudly(LedgerKind ledger, uint32_t partition) const {
  return std::any_of(plan_.begin(), plan_.end(), [&](const PlannedFault& fault) {
    return EndsInLoudStop(fault.kind) && fault.ledger == ledger && fault.partition == partition;
  });
}

// Of the one-segment jobs by partition; of the other, whose records change theirs on the way, in all.
RecordCounts Director::CountAll(LedgerKind crossing,
                                const std::function<uint64_t(LedgerKind, uint32_t)>& count) const {
  RecordCounts counts;
  for (int kind = 0; kind < kOneSegmentJobs; ++kind) {
    const auto ledger = static_cast<LedgerKind>(kind);
    for (uint32_t p = 0; p < partitions_; ++p) counts.push_back(count(ledger, p));
  }
  counts.push_back(0);
  for (uint32_t p = 0; p < partitions_; ++p) counts.back() += count(crossing, p);
  return counts;
}

RecordCounts Director::Fed() const {
  return CountAll(LedgerKind::kFront, [this](LedgerKind ledger, uint32_t p) -> uint64_t {
    const uint64_t fed = monitor_->Seen(ledger, p).records_in;
    return StopsLoudly(ledger, p) ? 0 : fed - std::min(fed, overruns_[static_cast<size_t>(ledger)][p]);
  });
}

RecordCounts Director::Out() const {
  return CountAll(LedgerKind::kBack,
                  [this](LedgerKind ledger, uint32_t p) { return monitor_->Seen(ledger, p).records_out; });
}

RecordCounts Director::Expected() const {
  return CountAll(LedgerKind::kFront, [this](LedgerKind ledger, uint32_t p) -> uint64_t {
    return StopsLoudly(ledger, p) ? 0 : outputs_[static_cast<size_t>(ledger)][p];
  });
}

}  // namespace millrace::chaos
