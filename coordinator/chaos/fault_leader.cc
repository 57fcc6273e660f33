// The coordinator that leads: killed, or stopped beyond its lease and continued.
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

std::string LeaderOf(const Stage& stage) {
  for (int64_t i = 0; i < stage.nodes->coordinators(); ++i) {
    const std::string name = Nodes::Coordinator(i);
    if (stage.nodes->IsUp(name) && stage.nodes->PidOf(name) == stage.monitor->leader_pid()) return name;
  }
  return "";
}

class LeaderFault : public Fault {
 public:
  LeaderFault(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  // Which of them leads may change until it begins.
  std::vector<std::string> Holds() const override {
    std::vector<std::string> names;
    for (int64_t i = 0; i < stage_.nodes->coordinators(); ++i) names.push_back(Nodes::Coordinator(i));
    return names;
  }

 protected:
  void Begin() override {
    leader_ = LeaderOf(stage_);
    term_ = stage_.monitor->term();
    Note(leader_.empty() ? "nobody led" : "no other term began");
    if (!leader_.empty()) Hit();
  }
  virtual void Hit() = 0;
  bool AnotherLeads() {
    if (stage_.monitor->term() > term_) {
      See(StrCat(leader_, " led in term ", term_, "; term ", stage_.monitor->term(), " began after ",
                 Took()));
    }
    return !effect().empty();
  }

  std::string leader_;  // empty: nobody led
  uint64_t term_ = 0;
};

class KillLeader : public LeaderFault {
 public:
  KillLeader(const PlannedFault& plan, const Stage& stage) : LeaderFault(plan, stage) {}
  void Hit() override { stage_.nodes->Kill(leader_, Nodes::Then::kStayDown); }
  bool Turn() override {
    if (leader_.empty()) return true;
    if (Since() < plan_.duration || !stage_.nodes->StartAgain(leader_).ok()) return false;
    return AnotherLeads() || Since() > plan_.duration + kEffectDeadline;
  }
};

class PauseLeader : public LeaderFault {
 public:
  PauseLeader(const PlannedFault& plan, const Stage& stage) : LeaderFault(plan, stage) {}
  ~PauseLeader() override {
    if (begun()) stage_.nodes->Signal(leader_, SIGCONT);
  }
  void Hit() override { stage_.nodes->Signal(leader_, SIGSTOP); }
  bool Turn() override {
    if (leader_.empty()) return true;
    AnotherLeads();
    if (Since() < plan_.duration) return false;
    stage_.nodes->Signal(leader_, SIGCONT);
    return true;
  }
};

}  // namespace

std::unique_ptr<Fault> MakeLeaderFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kKillLeader) return std::make_unique<KillLeader>(plan, stage);
  if (plan.kind == FaultKind::kPauseLeader) return std::make_unique<PauseLeader>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
