// The stages `partition` and `broadcast`, and how stages are put together where some have branches.
//
// A branch is a chain of its own whose last stage hands on to what is behind the stage with the branches. A
// record still goes down by nested calls: what fails in one branch takes back what the others did.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/output_stage.h"
#include "common/pipeline/stage.h"

namespace millrace {

class BranchingStage : public Stage {
 public:
  using Stage::Stage;
  // Where each branch begins; one without stages begins with what is behind.
  void set_heads(std::vector<Stage*> heads) { heads_ = std::move(heads); }

 protected:
  const std::vector<Stage*>& heads() const { return heads_; }

 private:
  std::vector<Stage*> heads_;
};

// REQUIRES: spec.what is a BranchStage. `lua` may be null where no branch has a `when`; it and `context` must
// outlive the stage. INVALID_ARGUMENT when a `when` does not compile.
absl::StatusOr<std::unique_ptr<BranchingStage>> MakeBranchStage(const StageSpec& spec,
                                                                const ErrorPolicy& job_errors,
                                                                LuaSandbox* lua, StepContext* context);

// A stage in its chain, with the chains of its branches.
struct StageNode {
  Stage* stage = nullptr;
  BranchingStage* branching = nullptr;  // the same, where it has branches
  std::vector<std::vector<StageNode>> branches;
};

// Links each stage to the one behind it: the last of a chain to `behind`, or to the output where that is null.
void LinkStages(const std::vector<StageNode>& chain, Stage* behind, OutputStage* output);

}  // namespace millrace
