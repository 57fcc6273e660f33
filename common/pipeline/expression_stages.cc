#include "common/pipeline/expression_stages.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/strings.h"

namespace millrace {
namespace {

// What the four have in common: a compiled chunk, and its calls observed.
class ExpressionStage : public Stage {
 public:
  ExpressionStage(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua,
                  LuaSandbox::ChunkId chunk, StepContext* context)
      : Stage(spec, job_errors, context), lua_(lua), chunk_(chunk) {}

 protected:
  absl::StatusOr<bool> Test(const RecordView& record) {
    const ObservedCall observed(context(), timeout(), name());
    absl::StatusOr<bool> answer = lua_->Test(chunk_, InputOf(record, context()));
    if (!answer.ok()) return Fail(answer.status());
    return answer;
  }
  absl::Status Evaluate(const RecordView& record, std::string* packed) {
    const ObservedCall observed(context(), timeout(), name());
    packed->clear();
    absl::Status status = lua_->Evaluate(chunk_, InputOf(record, context()), packed);
    return status.ok() ? status : Fail(status);
  }
  absl::Status EvaluateList(const RecordView& record, std::string* packed, std::vector<size_t>* ends) {
    const ObservedCall observed(context(), timeout(), name());
    packed->clear();
    ends->clear();
    absl::Status status = lua_->EvaluateList(chunk_, InputOf(record, context()), packed, ends);
    return status.ok() ? status : Fail(status);
  }

 private:
  LuaSandbox* const lua_;
  const LuaSandbox::ChunkId chunk_;
};

class FilterStageImpl final : public ExpressionStage {
 public:
  using ExpressionStage::ExpressionStage;
  Traits traits() const override { return {}; }
  absl::Status Process(const RecordView& record) override {
    const absl::StatusOr<bool> keep = Test(record);
    if (!keep.ok()) return keep.status();
    return *keep ? HandOn(record) : absl::OkStatus();
  }
};

class InspectStageImpl final : public ExpressionStage {
 public:
  using ExpressionStage::ExpressionStage;
  Traits traits() const override { return {}; }
  absl::Status Process(const RecordView& record) override {
    const absl::StatusOr<bool> seen = Test(record);
    if (!seen.ok()) return seen.status();
    if (counted_in_ != context().frame_serial || counted_of_ != context().record) {
      counted_in_ = context().frame_serial;
      counted_of_ = context().record;
      before_ = count_;
    }
    if (*seen) ++count_;
    return HandOn(record);
  }
  uint64_t inspected() const override { return count_; }
  void ForgetInspected() override {
    if (counted_in_ == context().frame_serial && counted_of_ == context().record) count_ = before_;
  }
  void SetInspected(uint64_t records) override { count_ = records; }

 private:
  uint64_t count_ = 0;
  // The record that was seen last, and the count before it.
  uint64_t counted_in_ = 0;  // frame_serial
  uint32_t counted_of_ = 0;
  uint64_t before_ = 0;
};

class MapStageImpl final : public ExpressionStage {
 public:
  MapStageImpl(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua,
               LuaSandbox::ChunkId chunk, StepContext* context)
      : ExpressionStage(spec, job_errors, lua, chunk, context) {
    for (const auto& [name, expression] : std::get<MapStage>(spec.what).fields) names_.push_back(name);
    fields_.assign(names_.begin(), names_.end());
  }
  Traits traits() const override { return {}; }
  absl::Status Process(const RecordView& record) override {
    if (absl::Status status = Evaluate(record, &packed_); !status.ok()) return status;
    RecordView mapped = record;
    mapped.value = packed_;
    mapped.shape = names_.empty() ? kPackedShape : kFirstRowShape;
    mapped.fields = names_.empty() ? nullptr : &fields_;
    return HandOn(mapped);
  }

 private:
  std::vector<std::string> names_;  // empty: the expression is the whole value
  FieldNames fields_;               // views of names_
  std::string packed_;
};

class FlatMapStageImpl final : public ExpressionStage {
 public:
  using ExpressionStage::ExpressionStage;
  Traits traits() const override { return {.fans_out = true}; }
  absl::Status Process(const RecordView& record) override {
    if (absl::Status status = EvaluateList(record, &packed_, &ends_); !status.ok()) return status;
    RecordView item = record;
    item.shape = kPackedShape;
    item.fields = nullptr;
    size_t begin = 0;
    for (const size_t end : ends_) {
      item.value = std::string_view(packed_).substr(begin, end - begin);
      if (absl::Status status = HandOn(item); !status.ok()) return status;
      begin = end;
    }
    return absl::OkStatus();
  }

 private:
  std::string packed_;
  std::vector<size_t> ends_;
};

}  // namespace

std::vector<std::string> ExpressionsOf(const StageSpec& spec) {
  if (const auto* filter = std::get_if<FilterStage>(&spec.what)) return {filter->expression};
  if (const auto* flat_map = std::get_if<FlatMapStage>(&spec.what)) return {flat_map->expression};
  if (const auto* inspect = std::get_if<InspectStage>(&spec.what)) return {inspect->expression};
  const auto& map = std::get<MapStage>(spec.what);
  if (map.fields.empty()) return {map.expression};
  std::vector<std::string> expressions;
  for (const auto& [name, expression] : map.fields) expressions.push_back(expression);
  return expressions;
}

LuaInput InputOf(const RecordView& record, const StepContext& context) {
  return {.record = &record,
          .key = record.key,
          .time_ms = record.time_ms,
          .segment = context.segment,
          .partition = context.partition,
          .offset = context.offset,
          .position = context.record};
}

absl::StatusOr<std::unique_ptr<Stage>> MakeExpressionStage(const StageSpec& spec,
                                                           const ErrorPolicy& job_errors, LuaSandbox* lua,
                                                           StepContext* context) {
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      lua->AddExpressions(spec.code.name, spec.code.place, ExpressionsOf(spec));
  if (!chunk.ok()) return chunk.status();
  std::unique_ptr<Stage> stage;
  if (std::holds_alternative<FilterStage>(spec.what)) {
    stage = std::make_unique<FilterStageImpl>(spec, job_errors, lua, *chunk, context);
  } else if (std::holds_alternative<MapStage>(spec.what)) {
    stage = std::make_unique<MapStageImpl>(spec, job_errors, lua, *chunk, context);
  } else if (std::holds_alternative<FlatMapStage>(spec.what)) {
    stage = std::make_unique<FlatMapStageImpl>(spec, job_errors, lua, *chunk, context);
  } else {
    stage = std::make_unique<InspectStageImpl>(spec, job_errors, lua, *chunk, context);
  }
  return stage;
}

}  // namespace millrace
