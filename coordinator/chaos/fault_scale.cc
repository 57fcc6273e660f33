// More workers or fewer, while records flow.
#include <algorithm>
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

// To `workers`, and back to what there was.
class Scale : public Fault {
 public:
  Scale(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override {
    const int64_t up = begun() ? before_ : UpCount();
    return Range(std::min(up, plan_.workers), std::max(up, plan_.workers));
  }

  void Begin() override {
    before_ = UpCount();
    if (plan_.workers == before_) Note(StrCat("there are ", before_, " workers already"));
    if (plan_.workers > before_) Grow(plan_.workers);
    if (plan_.workers < before_) Shrink(plan_.workers);
  }
  bool Turn() override {
    if (!returning_) {
      Look();
      if (Since() < plan_.duration) return false;
      returning_ = true;
      if (plan_.workers > before_) Shrink(before_);
      if (plan_.workers < before_) Grow(before_);
    }
    for (const std::string& name : ending_) {
      if (stage_.nodes->IsUp(name) && Since() < plan_.duration + kEffectDeadline) return false;
    }
    return true;
  }

 private:
  static std::vector<std::string> Range(int64_t from, int64_t to) {
    std::vector<std::string> names;
    for (int64_t i = from; i < to; ++i) names.push_back(Nodes::Worker(i));
    return names;
  }
  int64_t UpCount() const {
    int64_t up = 0;
    while (up < stage_.nodes->workers() && stage_.nodes->IsUp(Nodes::Worker(up))) ++up;
    return up;
  }
  void Grow(int64_t workers) {
    ending_.clear();
    for (int64_t i = 0; i < workers; ++i) {
      const absl::Status status = i < stage_.nodes->workers() ? stage_.nodes->StartAgain(Nodes::Worker(i))
                                                              : stage_.nodes->AddWorker();
      if (!status.ok()) Note(std::string(status.message()));
    }
  }
  void Shrink(int64_t workers) {
    for (int64_t i = workers; i < stage_.nodes->workers(); ++i) {
      ending_.push_back(Nodes::Worker(i));
      stage_.nodes->KeepDown(ending_.back());
      stage_.nodes->Signal(ending_.back(), SIGTERM);
    }
  }
  void Look() {
    uint64_t owned = 0;
    for (const std::string& name : Holds()) owned += stage_.monitor->Assigned(name);
    if (plan_.workers > before_ && owned > 0) See(StrCat(owned, " partitions moved to new workers"));
    if (plan_.workers < before_ && owned == 0) See(StrCat("all partitions moved to ", plan_.workers));
    if (effect().empty()) Note("no partition moved");
  }

  int64_t before_ = 0;
  bool returning_ = false;
  std::vector<std::string> ending_;
};

}  // namespace

std::unique_ptr<Fault> MakeScaleFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kScale) return std::make_unique<Scale>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
