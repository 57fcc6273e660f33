// Puts a job's stages together. What a Step does is in step_runner.cc.
#include "common/pipeline/pipeline.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/job/branches.h"
#include "common/pipeline/aggregate_stage.h"
#include "common/pipeline/branch_stage.h"
#include "common/pipeline/call_stage.h"
#include "common/pipeline/dedupe_stage.h"
#include "common/pipeline/expression_stages.h"
#include "common/pipeline/handler_caller.h"
#include "common/pipeline/key_by_stage.h"
#include "common/pipeline/keyed_stage.h"
#include "common/pipeline/lookup_stage.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/output_stage.h"
#include "common/pipeline/plugin_stages.h"
#include "common/pipeline/pooled_stage.h"
#include "common/pipeline/rate_limit_stage.h"
#include "common/pipeline/remote_flat_map.h"
#include "common/pipeline/step_runner.h"
#include "common/pipeline/window_stage.h"
#include "common/strings.h"

namespace millrace {
namespace {

class PipelineImpl final : public Pipeline {
 public:
  explicit PipelineImpl(const PipelineOptions& options) : output_(&context_) {
    context_.observer = options.observer;
    context_.units = options.units;
    context_.pacer = options.pacer;
    context_.calls = options.calls;
  }

  absl::Status Build(const JobSpec& spec, const PipelineOptions& options);

  absl::StatusOr<StepResult> Step(const StepInput& input, State& state, StepSink& sink) override {
    return runner_->Step(input, state, sink);
  }
  int64_t WatermarkBehind(int64_t watermark_ms) const override {
    return DelayedEventTime(watermark_ms, event_delay_ms_);
  }
  int64_t NextDueMs(State& state) const override;
  absl::StatusOr<std::string> StateJson(State& state, std::string_view key) override;
  absl::Status ScanStateJson(
      State& state, const ScanRange& range,
      const std::function<bool(std::string_view key, std::string json)>& visit) override;
  std::vector<std::pair<std::string, uint64_t>> InspectCounts() const override;

 private:
  // Each with what is in its branches, in the file's order.
  absl::StatusOr<std::vector<StageNode>> AddStages(const std::vector<StageSpec>& specs, const JobSpec& job);
  absl::Status AddStage(const StageSpec& spec, const JobSpec& job);
  void Show(const Stage& stage, TableId table);
  absl::Status CheckKeepsState() const;

  StepContext context_;
  std::unique_ptr<LuaSandbox> lua_;  // null when no stage has code
  std::unique_ptr<KeyExtractor> keys_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<KeyedStageRunner*> keyed_;
  std::vector<StageChain::Timed> timed_;
  std::vector<const Stage*> inspecting_;
  OutputStage output_;
  std::unique_ptr<StepRunner> runner_;
  // The stage whose state people are shown.
  const Stage* shown_ = nullptr;
  TableId shown_table_ = 0;
  TableId next_table_ = 0;
  int64_t event_delay_ms_ = 0;  // behind the stages so far, of the branch that is being added
  size_t last_at_end_ = 0;      // behind the last of them that hands on when it finishes
};

absl::Status PipelineImpl::Build(const JobSpec& spec, const PipelineOptions& options) {
  context_.log_time_is_event_time = spec.log_time_is_event_time;
  if (RunsUserCode(spec)) {
    absl::StatusOr<std::unique_ptr<LuaSandbox>> lua = LuaSandbox::Create(options.lua_memory_bytes);
    if (!lua.ok()) return lua.status();
    lua_ = *std::move(lua);
  }
  absl::StatusOr<std::unique_ptr<KeyExtractor>> keys = KeyExtractor::Create(spec);
  if (!keys.ok()) return keys.status();
  keys_ = *std::move(keys);
  const absl::StatusOr<std::vector<StageNode>> nodes = AddStages(spec.stages, spec);
  if (!nodes.ok()) return nodes.status();
  LinkStages(*nodes, /*behind=*/nullptr, &output_);
  StageChain chain;
  for (const std::unique_ptr<Stage>& stage : stages_) chain.stages.push_back(stage.get());
  chain.keyed = keyed_;
  chain.timed = timed_;
  chain.output = &output_;
  chain.context = &context_;
  chain.keys = keys_.get();
  chain.job_errors = spec.errors;
  runner_ = std::make_unique<StepRunner>(std::move(chain));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StageNode>> PipelineImpl::AddStages(const std::vector<StageSpec>& specs,
                                                               const JobSpec& job) {
  std::vector<StageNode> nodes;
  for (const StageSpec& spec : specs) {
    StageNode& node = nodes.emplace_back();
    if (const std::vector<BranchSpec>* branches = BranchesOf(spec)) {
      absl::StatusOr<std::unique_ptr<BranchingStage>> made =
          MakeBranchStage(spec, job.errors, lua_.get(), &context_);
      if (!made.ok()) return AtPlace(spec.place, made.status());
      node.branching = made->get();
      stages_.push_back(*std::move(made));
      node.stage = node.branching;
      // What comes behind them waits for the branch that keeps records longest.
      const int64_t delay_ms = event_delay_ms_;
      int64_t longest_ms = delay_ms;
      for (const BranchSpec& branch : *branches) {
        event_delay_ms_ = delay_ms;
        absl::StatusOr<std::vector<StageNode>> inner = AddStages(branch.stages, job);
        if (!inner.ok()) return inner.status();
        node.branches.push_back(*std::move(inner));
        longest_ms = std::max(longest_ms, event_delay_ms_);
      }
      event_delay_ms_ = longest_ms;
      continue;
    }
    if (absl::Status status = AddStage(spec, job); !status.ok()) return AtPlace(spec.place, status);
    node.stage = stages_.back().get();
  }
  return nodes;
}

absl::Status PipelineImpl::AddStage(const StageSpec& spec, const JobSpec& job) {
  const TableId table = next_table_;
  const ErrorPolicy& job_errors = job.errors;
  const StateExpiry expiry(job.ttl, ExpiryTable(table));
  if (std::holds_alternative<AggregateStage>(spec.what)) {
    stages_.push_back(MakeAggregateStage(spec, table, expiry, job_errors, &context_));
  } else if (std::holds_alternative<KeyedStage>(spec.what)) {
    absl::StatusOr<std::unique_ptr<KeyedStageRunner>> keyed =
        KeyedStageRunner::Create(spec, table, expiry, job_errors, lua_.get(), &context_);
    if (!keyed.ok()) return keyed.status();
    keyed_.push_back(keyed->get());
    timed_.push_back({keyed->get(), 0, true});
    stages_.push_back(*std::move(keyed));
  } else if (std::holds_alternative<WindowStage>(spec.what)) {
    auto window = std::make_unique<WindowStageRunner>(spec, table, job_errors, &context_);
    timed_.push_back({window.get(), last_at_end_, !keyed_.empty()});
    stages_.push_back(std::move(window));
  } else if (std::holds_alternative<DedupeStage>(spec.what)) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakeDedupeStage(spec, table, job, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else if (std::holds_alternative<LookupStage>(spec.what)) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakeLookupStage(spec, job_errors, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else if (std::holds_alternative<RateLimitStage>(spec.what)) {
    stages_.push_back(MakeRateLimitStage(spec, table, job, &context_));
  } else if (std::holds_alternative<CallStage>(spec.what)) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakeCallStage(spec, job_errors, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else if (!RemoteOf(spec).empty()) {
    stages_.push_back(MakeRemoteFlatMapStage(spec, job_errors, &context_));
  } else if (PluginOf(spec) != nullptr) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakePluginFlatMapStage(spec, job_errors, &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else if (RunsInPool(spec, context_)) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakePooledStage(spec, job_errors, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else if (std::holds_alternative<KeyByStage>(spec.what)) {
    absl::StatusOr<std::unique_ptr<Stage>> stage = MakeKeyByStage(spec, job_errors, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
  } else {
    absl::StatusOr<std::unique_ptr<Stage>> stage =
        MakeExpressionStage(spec, job_errors, lua_.get(), &context_);
    if (!stage.ok()) return stage.status();
    stages_.push_back(*std::move(stage));
    if (std::holds_alternative<InspectStage>(spec.what)) inspecting_.push_back(stages_.back().get());
  }
  stages_.back()->set_event_delay_ms(event_delay_ms_);
  if (const auto* window = std::get_if<WindowStage>(&spec.what)) {
    event_delay_ms_ += absl::ToInt64Milliseconds(window->lateness);
  }
  if (stages_.back()->traits().emits_at_end) last_at_end_ = stages_.size();
  if (stages_.back()->traits().keeps_state) {
    Show(*stages_.back(), table);
    if (table >= kFirstHelperTable) {
      return absl::InvalidArgumentError(StrCat("the stage keeps state as ", kMaxStatefulStages,
                                               " before it do — a job has no more of them — try a second "
                                               "job on the results of this one"));
    }
    next_table_ = static_cast<TableId>(table + kTablesPerStage);
  }
  return absl::OkStatus();
}

// The last one, where possible one that is about more than which records pass.
void PipelineImpl::Show(const Stage& stage, TableId table) {
  if (shown_ != nullptr && stage.traits().guards && !shown_->traits().guards) return;
  shown_ = &stage;
  shown_table_ = table;
}

int64_t PipelineImpl::NextDueMs(State& state) const {
  int64_t due_ms = kEndOfTime;
  for (const std::unique_ptr<Stage>& stage : stages_) due_ms = std::min(due_ms, stage->NextDueMs(state));
  return due_ms;
}

absl::Status PipelineImpl::CheckKeepsState() const {
  if (shown_ != nullptr) return absl::OkStatus();
  return absl::NotFoundError("the job keeps no state — none of its stages does");
}

absl::StatusOr<std::string> PipelineImpl::StateJson(State& state, std::string_view key) {
  if (absl::Status status = CheckKeepsState(); !status.ok()) return status;
  const absl::StatusOr<StateSlot*> slot = state.Find(shown_table_, key);
  if (!slot.ok()) return slot.status();
  if (!(*slot)->exists()) return absl::NotFoundError("no state for this key");
  std::string json;
  if (absl::Status status = shown_->AppendStateJson((*slot)->value(), &json); !status.ok()) return status;
  return json;
}

absl::Status PipelineImpl::ScanStateJson(
    State& state, const ScanRange& range,
    const std::function<bool(std::string_view key, std::string json)>& visit) {
  if (absl::Status status = CheckKeepsState(); !status.ok()) return status;
  absl::Status shown;
  absl::Status scanned = state.Scan(shown_table_, range, [&](std::string_view key, std::string_view value) {
    std::string json;
    shown = shown_->AppendStateJson(value, &json);
    return shown.ok() && visit(key, std::move(json));
  });
  return shown.ok() ? scanned : shown;
}

std::vector<std::pair<std::string, uint64_t>> PipelineImpl::InspectCounts() const {
  std::vector<std::pair<std::string, uint64_t>> counts;
  for (const Stage* const stage : inspecting_) counts.emplace_back(stage->name(), stage->inspected());
  return counts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Create(const JobSpec& spec,
                                                           const PipelineOptions& options) {
  if (absl::Status runs = CheckStepVersion(spec.step_version, StepVersion()); !runs.ok()) return runs;
  auto pipeline = std::make_unique<PipelineImpl>(options);
  if (absl::Status status = pipeline->Build(spec, options); !status.ok()) return status;
  return pipeline;
}

}  // namespace millrace
