#include "common/pipeline/pooled_stage.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/handler_caller.h"

namespace millrace {
namespace {

// What lua_handler.h puts out for a record, turned into what the stage hands on.
class PooledStage : public Stage {
 public:
  PooledStage(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : Stage(spec, job_errors, context), caller_(spec.code.name, context->calls) {}

  absl::Status Process(const RecordView& record) final {
    const absl::StatusOr<const CallOutcome*> outcome =
        caller_.Call(context(), &record, record.key, record.time_ms, /*state=*/{});
    if (!outcome.ok()) return outcome.status();
    if (*outcome == nullptr) return absl::OkStatus();
    if ((*outcome)->kind == CallOutcome::Kind::kFailed) return Fail((*outcome)->why);
    return HandOnOutputs(record, **outcome);
  }

 private:
  virtual absl::Status HandOnOutputs(const RecordView& record, const CallOutcome& outcome) = 0;

  HandlerCaller caller_;
};

class PooledFilter final : public PooledStage {
 public:
  using PooledStage::PooledStage;
  Traits traits() const override { return {}; }

 private:
  absl::Status HandOnOutputs(const RecordView& record, const CallOutcome& outcome) override {
    return outcome.outputs.empty() ? absl::OkStatus() : HandOn(record);
  }
};

class PooledFlatMap final : public PooledStage {
 public:
  using PooledStage::PooledStage;
  Traits traits() const override { return {.fans_out = true}; }

 private:
  absl::Status HandOnOutputs(const RecordView& record, const CallOutcome& outcome) override {
    RecordView item = record;
    item.shape = kPackedShape;
    item.fields = nullptr;
    for (const HandlerOutput& output : outcome.outputs) {
      item.value = output.value;
      if (absl::Status status = HandOn(item); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
};

class PooledMap final : public PooledStage {
 public:
  PooledMap(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : PooledStage(spec, job_errors, context) {
    for (const auto& [name, expression] : std::get<MapStage>(spec.what).fields) names_.push_back(name);
    fields_.assign(names_.begin(), names_.end());
  }
  Traits traits() const override { return {}; }

 private:
  absl::Status HandOnOutputs(const RecordView& record, const CallOutcome& outcome) override {
    packed_.clear();
    for (const HandlerOutput& output : outcome.outputs) packed_.append(output.value);
    RecordView mapped = record;
    mapped.value = packed_;
    mapped.shape = names_.empty() ? kPackedShape : kFirstRowShape;
    mapped.fields = names_.empty() ? nullptr : &fields_;
    return HandOn(mapped);
  }

  std::vector<std::string> names_;  // empty: the expression is the whole value
  FieldNames fields_;               // views of names_
  std::string packed_;              // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> MakePooledStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                       LuaSandbox* lua, StepContext* context) {
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      lua->AddExpressions(spec.code.name, spec.code.place, ExpressionsOf(spec));
  if (!chunk.ok()) return chunk.status();
  std::unique_ptr<Stage> stage;
  if (std::holds_alternative<FilterStage>(spec.what)) {
    stage = std::make_unique<PooledFilter>(spec, job_errors, context);
  } else if (std::holds_alternative<MapStage>(spec.what)) {
    stage = std::make_unique<PooledMap>(spec, job_errors, context);
  } else {
    stage = std::make_unique<PooledFlatMap>(spec, job_errors, context);
  }
  return stage;
}

}  // namespace millrace
