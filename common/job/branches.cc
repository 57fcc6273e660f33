#include "common/job/branches.h"

namespace millrace {
namespace {

void AddStages(const std::vector<StageSpec>& stages, std::vector<const StageSpec*>* all) {
  for (const StageSpec& stage : stages) {
    all->push_back(&stage);
    const std::vector<BranchSpec>* const branches = BranchesOf(stage);
    if (branches == nullptr) continue;
    for (const BranchSpec& branch : *branches) AddStages(branch.stages, all);
  }
}

}  // namespace

const std::vector<BranchSpec>* BranchesOf(const StageSpec& stage) {
  const auto* const what = std::get_if<BranchStage>(&stage.what);
  return what == nullptr ? nullptr : &what->branches;
}

std::vector<const StageSpec*> AllStages(const std::vector<StageSpec>& stages) {
  std::vector<const StageSpec*> all;
  AddStages(stages, &all);
  return all;
}

}  // namespace millrace
