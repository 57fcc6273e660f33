#include "common/pipeline/branch_stage.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "common/pipeline/expression_stages.h"

namespace millrace {
namespace {

// The first branch whose `when` is true takes the record; where there is none, it goes on as it is.
class PartitionBranches final : public BranchingStage {
 public:
  using Whens = std::vector<std::optional<LuaSandbox::ChunkId>>;  // nullopt: takes what is left

  PartitionBranches(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua, Whens whens,
                    StepContext* context)
      : BranchingStage(spec, job_errors, context), lua_(lua), whens_(std::move(whens)) {
    has_code_ = std::any_of(whens_.begin(), whens_.end(), [](const auto& when) { return when.has_value(); });
  }
  Traits traits() const override { return {.can_fail = has_code_, .runs_code = has_code_}; }

  absl::Status Process(const RecordView& record) override {
    for (size_t i = 0; i < whens_.size(); ++i) {
      if (whens_[i].has_value()) {
        const absl::StatusOr<bool> takes = Test(*whens_[i], record);
        if (!takes.ok()) return takes.status();
        if (!*takes) continue;
      }
      return heads()[i]->Process(record);
    }
    return HandOn(record);
  }

 private:
  absl::StatusOr<bool> Test(LuaSandbox::ChunkId when, const RecordView& record) {
    const ObservedCall observed(context(), timeout(), name());
    absl::StatusOr<bool> answer = lua_->Test(when, InputOf(record, context()));
    if (!answer.ok()) return Fail(answer.status());
    return answer;
  }

  LuaSandbox* const lua_;
  const Whens whens_;
  bool has_code_ = false;
};

// Every branch takes the record, one after the other.
class BroadcastBranches final : public BranchingStage {
 public:
  using BranchingStage::BranchingStage;
  Traits traits() const override { return {.can_fail = false, .fans_out = true, .runs_code = false}; }

  absl::Status Process(const RecordView& record) override {
    for (Stage* const head : heads()) {
      if (absl::Status status = head->Process(record); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<BranchingStage>> MakeBranchStage(const StageSpec& spec,
                                                                const ErrorPolicy& job_errors,
                                                                LuaSandbox* lua, StepContext* context) {
  const auto& what = std::get<BranchStage>(spec.what);
  std::unique_ptr<BranchingStage> stage;
  if (what.kind == BranchStage::Kind::kBroadcast) {
    stage = std::make_unique<BroadcastBranches>(spec, job_errors, context);
    return stage;
  }
  PartitionBranches::Whens whens;
  for (const BranchSpec& branch : what.branches) {
    whens.emplace_back();
    if (branch.when.empty()) continue;
    const absl::StatusOr<LuaSandbox::ChunkId> chunk =
        lua->AddExpressions(spec.code.name, branch.code, {branch.when});
    if (!chunk.ok()) return chunk.status();
    whens.back() = *chunk;
  }
  stage = std::make_unique<PartitionBranches>(spec, job_errors, lua, std::move(whens), context);
  return stage;
}

void LinkStages(const std::vector<StageNode>& chain, Stage* behind, OutputStage* output) {
  for (size_t i = 0; i < chain.size(); ++i) {
    const StageNode& node = chain[i];
    Stage* const follower = i + 1 < chain.size() ? chain[i + 1].stage : behind;
    Stage* const next = follower != nullptr ? follower : output->DoorFor(node.stage);
    node.stage->set_next(next);
    if (node.branching == nullptr) continue;
    std::vector<Stage*> heads;
    for (const std::vector<StageNode>& branch : node.branches) {
      heads.push_back(branch.empty() ? next : branch.front().stage);
      LinkStages(branch, follower, output);
    }
    node.branching->set_heads(std::move(heads));
  }
}

}  // namespace millrace
