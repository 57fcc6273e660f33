// The input: a submit that dies and is run again; a record on which the handler never returns.
#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

class KillIngest : public Fault {
 public:
  KillIngest(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override { return {StrCat("submit of ", JobName(plan_.ledger))}; }

  void Begin() override {
    fed_ = feeder().written();
    kills_ = feeder().killed_ends();
    feeder().Kill();
    if (plan_.point.empty()) return;
    ++kills_;  // the one that counts is the next
    if (!feeder().Start(StrCat(plan_.point, ":", plan_.passing)).ok()) Note("it could not be started");
  }
  bool Turn() override {
    if (feeder().killed_ends() > kills_) {
      See(plan_.point.empty() ? StrCat("died with ", fed_, " records fed; run again from the first")
                              : StrCat("died there by itself after ", Took(), "; run again from the first"));
      return true;
    }
    Note(StrCat("it never came to ", plan_.point));
    return feeder().done() || Since() > kEffectDeadline;
  }

 private:
  Feeder& feeder() { return *(*stage_.feeders)[static_cast<size_t>(plan_.ledger)]; }
  size_t fed_ = 0;
  int kills_ = 0;
};

// The record stands in the input since it was made; here its effect is waited for.
class Overrun : public Fault {
 public:
  Overrun(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}

  void Begin() override {
    letters_ = stage_.monitor->DeadLetters(plan_.ledger).value_or(0);
    if (stage_.nodes != nullptr) endings_ = stage_.nodes->endings().size();
  }
  bool Turn() override {
    if (Since() < next_look_) return false;
    next_look_ = Since() + kLookInterval;
    if (stage_.monitor->DeadLetters(plan_.ledger).value_or(0) > letters_) {
      See(StrCat("a dead letter after ", Took(), Deaths()));
    }
    Note("it is no dead letter");
    return !effect().empty() || Since() > kEffectDeadline;
  }

 private:
  static constexpr absl::Duration kLookInterval = absl::Milliseconds(250);
  static constexpr int kOverranCode = 75;

  std::string Deaths() const {
    if (stage_.nodes == nullptr) return "";
    int deaths = 0;
    for (size_t i = endings_; i < stage_.nodes->endings().size(); ++i) {
      deaths += stage_.nodes->endings()[i].exit_code == kOverranCode ? 1 : 0;
    }
    return StrCat("; ", deaths, " workers ended themselves over it");
  }
  uint64_t letters_ = 0;
  size_t endings_ = 0;
  absl::Duration next_look_;
};

}  // namespace

std::unique_ptr<Fault> MakeIngestFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kKillIngest) return std::make_unique<KillIngest>(plan, stage);
  if (plan.kind == FaultKind::kOverrun) return std::make_unique<Overrun>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
