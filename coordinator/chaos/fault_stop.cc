// Stopped beyond the lease, then continued: a worker, with its appends held back or not, and the leader.
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

constexpr char kResultAppend[] = "Millrace: 1 r ";
constexpr char kRefused[] = "wrong last sequence";
constexpr absl::Duration kAppendDeadline = absl::Seconds(5);
constexpr double kFirstShare = 0.5;

using Owned = std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>>;

class PauseWorker : public Fault {
 public:
  PauseWorker(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  ~PauseWorker() override {
    if (begun()) stage_.nodes->Signal(worker(), SIGCONT);
  }
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    owned_ = stage_.monitor->OwnedBy(worker());
    stage_.nodes->Signal(worker(), SIGSTOP);
  }
  bool Turn() override {
    if (Since() < plan_.duration) return false;
    const int taken = stage_.monitor->TakenOver(owned_);
    stage_.nodes->Signal(worker(), SIGCONT);
    if (taken > 0) See(StrCat(taken, " of its ", owned_.size(), " partitions were taken over meanwhile"));
    Note(owned_.empty() ? "it owned no partition" : "nobody took over");
    return true;
  }

 private:
  Owned owned_;
};

// The worker's result appends are held in its link; it is stopped; others take over; half of what is held
// goes on to the broker, the worker continues, then the rest.
class Zombie : public Fault {
 public:
  Zombie(const PlannedFault& plan, const Stage& stage)
      : Fault(plan, stage), link_(stage.nodes->link(plan.worker)) {}
  ~Zombie() override {
    if (!begun()) return;
    link_.Release(1);
    stage_.nodes->Signal(worker(), SIGCONT);
  }
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    link_.Count(Direction::kToClient, kRefused);
    owned_ = stage_.monitor->OwnedBy(worker());
    link_.HoldFrom(kResultAppend);
  }
  bool Turn() override {
    if (held_ == 0) return WaitForAppends();
    if (stage_.clock->Monotonic() < until_) return false;
    if (!continued_) {
      taken_ = stage_.monitor->TakenOver(owned_);
      link_.Release(kFirstShare);
      stage_.nodes->Signal(worker(), SIGCONT);
      link_.Release(1);
      continued_ = true;
      until_ = stage_.clock->Monotonic() + stage_.lease;  // for the answers to come
      return false;
    }
    if (taken_ > 0) {
      See(StrCat(held_, " appends let go late, ", taken_, " partitions taken over; ", link_.Counted(kRefused),
                 " refused by the broker"));
    }
    Note("nobody took over");
    return true;
  }

 private:
  bool WaitForAppends() {
    held_ = link_.Held(kResultAppend);
    if (held_ > 0) {
      stage_.nodes->Signal(worker(), SIGSTOP);
      until_ = stage_.clock->Monotonic() + plan_.duration;
    } else if (Since() > kAppendDeadline) {
      Note("it appended nothing");
      return true;
    }
    return false;
  }

  Proxy& link_;
  Owned owned_;
  int held_ = 0, taken_ = 0;
  bool continued_ = false;
  absl::Duration until_;
};

}  // namespace

std::unique_ptr<Fault> MakeStopFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kPause) return std::make_unique<PauseWorker>(plan, stage);
  if (plan.kind == FaultKind::kZombie) return std::make_unique<Zombie>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
