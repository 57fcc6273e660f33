// Workers: killed, at any time or at a named point, one or all; asked to end.
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

// After it was killed a process stays down for the fault's duration.
class KillWorker : public Fault {
 public:
  KillWorker(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    const uint64_t owned = stage_.monitor->Assigned(worker());
    stage_.nodes->Kill(worker(), Nodes::Then::kStayDown);
    if (owned > 0) {
      See(StrCat("died with ", owned, " partitions"));
    } else {
      Note("it had no partition");
    }
  }
  bool Turn() override { return Since() >= plan_.duration && stage_.nodes->StartAgain(worker()).ok(); }
};

// Armed by a restart: the next life ends at the point.
class KillAtPoint : public Fault {
 public:
  KillAtPoint(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    stage_.nodes->Kill(worker(), Nodes::Then::kStayDown);
    if (!stage_.nodes->StartAgain(worker(), {StrCat("MILLRACE_FAILPOINT=", plan_.point, ":", plan_.passing)})
             .ok()) {
      Note("it could not be started");
    }
    pid_ = stage_.nodes->PidOf(worker());
  }
  bool Turn() override {
    for (const Ending& ending : stage_.nodes->endings()) {
      if (ending.pid != pid_ || ending.node != worker()) continue;
      if (ending.signal == SIGKILL) {
        See(StrCat("died there by itself after ", Took()));
      } else {
        Note(StrCat("it ended with exit code ", ending.exit_code));
      }
      return true;
    }
    if (Since() < kEffectDeadline) return false;
    Note(StrCat("it never came to ", plan_.point));
    stage_.nodes->Kill(worker(), Nodes::Then::kStartAgain);  // or it would die there some other time
    return true;
  }

 private:
  pid_t pid_ = 0;
};

class KillAll : public Fault {
 public:
  KillAll(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override {
    std::vector<std::string> workers;
    for (int64_t i = 0; i < stage_.nodes->workers(); ++i) workers.push_back(Nodes::Worker(i));
    return workers;
  }

  void Begin() override {
    uint64_t owned = 0;
    for (const std::string& name : Holds()) {
      if (!stage_.nodes->IsUp(name)) continue;
      owned += stage_.monitor->Assigned(name);
      stage_.nodes->Signal(name, SIGKILL);  // all of them before the first is waited for
      killed_.push_back(name);
    }
    for (const std::string& name : killed_) stage_.nodes->Kill(name, Nodes::Then::kStayDown);
    if (owned > 0) {
      See(StrCat(killed_.size(), " died with ", owned, " partitions"));
    } else {
      Note("they had no partition");
    }
  }
  bool Turn() override {
    if (Since() < plan_.duration) return false;
    for (const std::string& name : killed_) {
      if (!stage_.nodes->StartAgain(name).ok()) return false;
    }
    return true;
  }

 private:
  std::vector<std::string> killed_;
};

class Terminate : public Fault {
 public:
  Terminate(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    owned_ = stage_.monitor->Assigned(worker());
    pid_ = stage_.nodes->PidOf(worker());
    stage_.nodes->KeepDown(worker());
    stage_.nodes->Signal(worker(), SIGTERM);
  }
  bool Turn() override {
    if (stage_.nodes->IsUp(worker())) {
      if (Since() < kEffectDeadline) return false;
      Note(StrCat("it did not end within ", Took()));
      stage_.nodes->Kill(worker(), Nodes::Then::kStartAgain);
      return true;
    }
    for (const Ending& ending : stage_.nodes->endings()) {
      if (ending.pid != pid_ || ending.node != worker()) continue;
      if (ending.signal == 0 && ending.exit_code == 0 && owned_ > 0) {
        See(StrCat("gave ", owned_, " partitions back and ended in ", Took()));
      } else if (owned_ == 0) {
        Note("it had no partition");
      } else {
        Note(StrCat("it ended with signal ", ending.signal, ", exit code ", ending.exit_code));
      }
    }
    return stage_.nodes->StartAgain(worker()).ok();
  }

 private:
  uint64_t owned_ = 0;
  pid_t pid_ = 0;
};

}  // namespace

std::unique_ptr<Fault> MakeProcessFault(const PlannedFault& plan, const Stage& stage) {
  switch (plan.kind) {
    case FaultKind::kKill:
      if (plan.point.empty()) return std::make_unique<KillWorker>(plan, stage);
      return std::make_unique<KillAtPoint>(plan, stage);
    case FaultKind::kKillAll:
      return std::make_unique<KillAll>(plan, stage);
    case FaultKind::kTerminate:
      return std::make_unique<Terminate>(plan, stage);
    default:
      return nullptr;
  }
}

}  // namespace millrace::chaos
