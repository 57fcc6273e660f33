#include "common/pipeline/key_by_stage.h"

#include <string>
#include <utility>
#include <variant>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/key_text.h"
#include "common/value/value.h"

namespace millrace {
namespace {

// A field, or several as a compact JSON array: the same text as the job's `key` makes of them, but for
// numbers, which are written as JSON writes them.
class FieldKeyStage final : public Stage {
 public:
  FieldKeyStage(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : Stage(spec, job_errors, context), key_(std::get<KeyByStage>(spec.what).key) {}
  Traits traits() const override { return {.runs_code = false}; }

  absl::Status Process(const RecordView& record) override {
    RecordView keyed = record;
    if (key_.kind == KeySpec::Kind::kField) {
      const absl::StatusOr<std::string_view> text = TextOf(record, key_.paths.front());
      if (!text.ok()) return Fail(text.status());
      keyed.key = *text;
      return HandOn(keyed);
    }
    list_.assign(1, '[');
    for (const std::string& path : key_.paths) {
      if (absl::Status status = AppendMember(record, path); !status.ok()) return Fail(status);
    }
    list_.push_back(']');
    keyed.key = list_;
    return HandOn(keyed);
  }

 private:
  absl::StatusOr<std::string_view> TextOf(const RecordView& record, const std::string& path) {
    const std::optional<std::string_view> packed = FindField(ValueView::Of(record), path);
    if (packed.has_value()) {
      const absl::StatusOr<std::string_view> text = KeyTextOf(*packed, &text_);
      if (text.ok()) return text;
    }
    return Missing(record, path);
  }

  absl::Status AppendMember(const RecordView& record, const std::string& path) {
    const std::optional<std::string_view> packed = FindField(ValueView::Of(record), path);
    if (!packed.has_value() || !KeyTextOf(*packed, &text_).ok()) return Missing(record, path);
    if (list_.size() > 1) list_.push_back(',');
    return AppendPackedJson(*packed, &list_);
  }

  static absl::Status Missing(const RecordView& record, const std::string& path) {
    return absl::InvalidArgumentError(
        StrCat("no key: field `", path, "` is ", WhyNoKey(ValueView::Of(record), path),
               " here — what goes through `key_by` needs one that is neither null, a list nor an "
               "object"));
  }

  const KeySpec key_;
  std::string text_;
  std::string list_;
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
