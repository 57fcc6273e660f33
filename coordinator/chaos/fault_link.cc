// The link between a worker and NATS: cut, slow, lossy, reset.
#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

class LinkFault : public Fault {
 public:
  LinkFault(const PlannedFault& plan, const Stage& stage)
      : Fault(plan, stage), link_(stage.nodes->link(plan.worker)) {}
  ~LinkFault() override {
    if (begun()) Heal();
  }

  // A link that is cut off stays so: no other fault may end it early. A reset meets any link as it is.
  std::vector<std::string> Holds() const override {
    if (plan_.kind == FaultKind::kResetLink) return {};
    return {worker()};
  }

  void Begin() override {
    waited_ = link_.WaitedBytes();
    lost_ = link_.LostPieces();
    owned_ = stage_.monitor->OwnedBy(worker());
    Break();
  }
  bool Turn() override {
    if (Since() < plan_.duration) return false;
    const int64_t waited = link_.WaitedBytes() - waited_;
    const int taken = stage_.monitor->TakenOver(owned_);
    Heal();
    Judge(waited, link_.LostPieces() - lost_, taken);
    return true;
  }

 private:
  void Break() {
    const bool up = plan_.way != Way::kFromServer, down = plan_.way != Way::kToServer;
    switch (plan_.kind) {
      case FaultKind::kCutOff:
        if (up) link_.Hold(Direction::kToServer);
        if (down) link_.Hold(Direction::kToClient);
        break;
      case FaultKind::kSlowLink:
        link_.Delay(Direction::kToServer, plan_.delay);
        link_.Delay(Direction::kToClient, plan_.delay);
        break;
      case FaultKind::kLossyLink:
        link_.Lose(plan_.loss, plan_.seed);
        break;
      default:
        reset_ = link_.Reset();
    }
  }
  void Heal() {
    if (plan_.kind == FaultKind::kCutOff) link_.Release(1);
    if (plan_.kind == FaultKind::kLossyLink) link_.Lose(0, 0);
    if (plan_.kind != FaultKind::kSlowLink) return;
    link_.Delay(Direction::kToServer, absl::ZeroDuration());
    link_.Delay(Direction::kToClient, absl::ZeroDuration());
  }
  void Judge(int64_t waited, int64_t lost, int taken) {
    Note("nothing passed");
    if (plan_.kind == FaultKind::kResetLink) {
      if (reset_ > 0) See(StrCat(reset_, " connections reset"));
    } else if (plan_.kind == FaultKind::kLossyLink) {
      if (lost > 0) See(StrCat(lost, " pieces lost and repeated"));
    } else if (waited > 0) {
      See(StrCat(waited / 1024, " KiB waited",
                 taken > 0 ? StrCat("; ", taken, " partitions taken over") : ""));
    }
  }

  Proxy& link_;
  int64_t waited_ = 0, lost_ = 0;
  int reset_ = 0;
  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> owned_;
};

}  // namespace

std::unique_ptr<Fault> MakeLinkFault(const PlannedFault& plan, const Stage& stage) {
  switch (plan.kind) {
    case FaultKind::kCutOff:
    case FaultKind::kSlowLink:
    case FaultKind::kLossyLink:
    case FaultKind::kResetLink:
      return std::make_unique<LinkFault>(plan, stage);
    default:
      return nullptr;
  }
}

}  // namespace millrace::chaos
