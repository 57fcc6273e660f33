#include "common/pipeline/key_by_stage.h"

#include <string>
#include <utility>
#include <variant>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/key_text.h"
#include "common/strings.h"

namespace millrace {
namespace {

class FieldKeyStage final : public Stage {
 public:
  FieldKeyStage(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : Stage(spec, job_errors, context), key_(std::get<KeyByStage>(spec.what).key) {}
  Traits traits() const override { return {.runs_code = false}; }

  absl::Status Process(const RecordView& record) override {
    const absl::StatusOr<std::string_view> key = key_.Take(record);
    if (!key.ok()) {
      return Fail(absl::InvalidArgumentError(
          StrCat(ToStd(key.status().message()),
                 " here — what goes through `key_by` needs one that is neither null, a list nor an object")));
    }
    RecordView keyed = record;
    keyed.key = *key;
    return HandOn(keyed);
  }

 private:
  FieldKey key_;
};

class LuaKeyStage final : public Stage {
 public:
  LuaKeyStage(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua,
              LuaSandbox::ChunkId chunk, StepContext* context)
      : Stage(spec, job_errors, context), lua_(lua), chunk_(chunk) {}
  Traits traits() const override { return {}; }

  absl::Status Process(const RecordView& record) override {
    packed_.clear();
    {
      const ObservedCall observed(context(), timeout(), name());
      const absl::Status run = lua_->Evaluate(chunk_, InputOf(record, context()), &packed_);
      if (!run.ok()) return Fail(run);
    }
    const absl::StatusOr<std::string_view> text = ExpressionKeyText(packed_, &json_);
    if (!text.ok()) return Fail(text.status());
    RecordView keyed = record;
    keyed.key = *text;
    return HandOn(keyed);
  }

 private:
  LuaSandbox* const lua_;
  const LuaSandbox::ChunkId chunk_;
  std::string packed_;
  std::string json_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> MakeKeyByStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                      LuaSandbox* lua, StepContext* context) {
  const KeySpec& key = std::get<KeyByStage>(spec.what).key;
  std::unique_ptr<Stage> stage;
  if (key.kind != KeySpec::Kind::kLua) {
    stage = std::make_unique<FieldKeyStage>(spec, job_errors, context);
    return stage;
  }
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      lua->AddExpressions(spec.code.name, spec.code.place, {key.lua});
  if (!chunk.ok()) return chunk.status();
  stage = std::make_unique<LuaKeyStage>(spec, job_errors, lua, *chunk, context);
  return stage;
}

}  // namespace millrace
