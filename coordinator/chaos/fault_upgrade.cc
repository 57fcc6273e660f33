// A rolling upgrade: one worker after the other ends and comes back as of the next release, and while some are
// of the old one still, jobs are given code that only the new ones can run.
#include <algorithm>
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/fault.h"
#include "coordinator/chaos/ledger.h"
#include "coordinator/dev/local.h"

namespace millrace::chaos {
namespace {

// Jobs whose code is the user's, and so can be updated: one of one segment, one of two.
constexpr LedgerKind kUpdatedJobs[] = {LedgerKind::kLua, LedgerKind::kFront};

class RollingUpgrade : public Fault {
 public:
  RollingUpgrade(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  ~RollingUpgrade() override {
    if (begun()) StartAll();
  }

  // Those of the old release: what is new already may be hit by anything.
  std::vector<std::string> Holds() const override {
    std::vector<std::string> names;
    for (size_t i = renewed_; i < Workers(); ++i) names.push_back(Nodes::Worker(static_cast<int64_t>(i)));
    return names;
  }

  void Begin() override {
    workers_ = static_cast<size_t>(stage_.nodes->workers());
    EndNext();
  }

  bool Turn() override {
    if (Since() > last_step_ + kEffectDeadline) {
      Note(StrCat("waited too long for ", waits_for_));
      return true;
    }
    switch (step_) {
      case Step::kEnding:
        if (!stage_.nodes->IsUp(ending())) StartRenewed();
        return false;
      case Step::kTakingPartitions:
        if (stage_.monitor->OwnedBy(ending()).empty()) return false;
        ++renewed_;
        if (renewed_ == workers_) return Finish();
        if (updated_ == 0 && 2 * renewed_ >= workers_) {
          StartUpdate();
        } else {
          EndNext();
        }
        return false;
      case Step::kUpdating:
        return !TurnUpdate();
      case Step::kMoving:
        if (OwnedByOld() > 0 && !stage_.nodes->NextRelease().empty()) return false;
        seen_ = StrCat(std::size(kUpdatedJobs), " jobs got new code when ", renewed_, " were new");
        EndNext();
        return false;
    }
    return true;
  }

 private:
  enum class Step { kEnding, kTakingPartitions, kUpdating, kMoving };

  size_t Workers() const { return begun() ? workers_ : static_cast<size_t>(stage_.nodes->workers()); }
  std::string ending() const { return Nodes::Worker(static_cast<int64_t>(renewed_)); }

  void Go(Step step, std::string waits_for) {
    step_ = step;
    waits_for_ = std::move(waits_for);
    last_step_ = Since();
  }

  void EndNext() {
    stage_.nodes->KeepDown(ending());
    stage_.nodes->Signal(ending(), SIGTERM);
    Go(Step::kEnding, StrCat("the end of ", ending()));
  }
  void StartRenewed() {
    stage_.nodes->Renew(ending());
    if (!stage_.nodes->StartAgain(ending()).ok()) return;  // the next turn tries again
    Go(Step::kTakingPartitions, StrCat(ending(), ", new, and its first partition"));
  }

  void StartUpdate() {
    const LedgerKind job = kUpdatedJobs[updated_];
    update_ = LaunchUpdate(*(*stage_.feeders)[static_cast<size_t>(job)], StrCat("update-", JobName(job)));
    Go(Step::kUpdating, StrCat("the update of ", JobName(job)));
  }
  // Null: it could not be started. A submit that is run again before the update is made is refused, and comes
  // back.
  std::unique_ptr<Process> LaunchUpdate(Feeder& feeder, const std::string& log) {
    const auto text = ReadFile(feeder.job_file());
    const auto program = FindSibling("coordinator");
    if (!text.ok() || !program.ok() || !WriteFile(feeder.job_file(), WithNextCode(*text)).ok())
      return nullptr;
    ProcessOptions options;
    options.arguments = {*program,    "update", feeder.job_file(),
                         "--no-wait", "--nats", stage_.nodes->nats_url()};
    options.environment = stage_.nodes->NextRelease();
    options.log_file = stage_.nodes->LogFile(log);
    feeder.Renew(options.environment);
    auto process = Process::Start(options);
    return process.ok() ? *std::move(process) : nullptr;
  }
  // False: the fault is over.
  bool TurnUpdate() {
    if (update_ != nullptr && !update_->HowItEnded().has_value()) return true;
    if (update_ == nullptr || update_->ending_signal() != 0 || update_->exit_code() != 0) {
      Note(StrCat("the update of ", JobName(kUpdatedJobs[updated_]), " failed: see its log"));
      return false;
    }
    if (++updated_ < std::size(kUpdatedJobs)) {
      StartUpdate();
    } else {
      Go(Step::kMoving, "that workers of the old release give up what runs new code");
    }
    return true;
  }
  size_t OwnedByOld() const {
    size_t owned = 0;
    for (const std::string& name : Holds()) {
      for (const auto& [ledger, partition, epoch] : stage_.monitor->OwnedBy(name)) {
        owned += ledger == LedgerKind::kNative ? 0 : 1;
      }
    }
    return owned;
  }

  bool Finish() {
    if (seen_.empty()) {
      Note("no code was updated while both releases ran");
    } else {
      See(StrCat(workers_, " workers renewed one by one in ", Took(), "; ", seen_));
    }
    return true;
  }
  // What is down comes back, as of whichever release it is.
  void StartAll() {
    for (size_t i = 0; i < workers_; ++i) {
      static_cast<void>(stage_.nodes->StartAgain(Nodes::Worker(static_cast<int64_t>(i))));
    }
  }

  size_t workers_ = 0, renewed_ = 0, updated_ = 0;
  Step step_ = Step::kEnding;
  absl::Duration last_step_;
  std::string waits_for_, seen_;
  std::unique_ptr<Process> update_;
};

}  // namespace

std::unique_ptr<Fault> MakeUpgradeFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kUpgrade) return std::make_unique<RollingUpgrade>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
