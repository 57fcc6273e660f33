#include "common/pipeline/lookup_stage.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/key_text.h"
#include "common/pipeline/lookup_table.h"
#include "common/strings.h"
#include "common/value/msgpack.h"

namespace millrace {
namespace {

constexpr std::string_view kNilValue = "\xc0";
constexpr size_t kMostTextShown = 40;

class LookupStageImpl final : public Stage {
 public:
  LookupStageImpl(const StageSpec& spec, const ErrorPolicy& job_errors, LuaSandbox* lua,
                  LuaSandbox::ChunkId chunk, StepContext* context)
      : Stage(spec, job_errors, context),
        lookup_(std::get<LookupStage>(spec.what)),
        lua_(lua),
        chunk_(chunk) {}

  Traits traits() const override { return {}; }

  absl::Status Process(const RecordView& record) override {
    const absl::StatusOr<std::optional<std::string_view>> row = FindRow(record);
    if (!row.ok()) return Fail(row.status());
    if (!row->has_value()) {
      if (lookup_.missing == LookupStage::Missing::kDrop) return absl::OkStatus();
      if (lookup_.missing == LookupStage::Missing::kError) {
        return Fail(StrCat("no row of ", lookup_.table, " for `", Shorten(looked_for_, kMostTextShown), "`"));
      }
    }
    if (absl::Status status = Join(record, row->value_or(kNilValue)); !status.ok()) return Fail(status);
    RecordView joined = record;
    joined.value = packed_;
    joined.shape = kFirstRowShape;
    joined.fields = &fields_;
    return HandOn(joined);
  }

 private:
  // nullopt: there is none. INVALID_ARGUMENT: the expression failed, or gave what is no key.
  absl::StatusOr<std::optional<std::string_view>> FindRow(const RecordView& record) {
    const ObservedCall observed(context(), timeout(), name());
    by_.clear();
    if (absl::Status status = lua_->Evaluate(chunk_, InputOf(record, context()), &by_); !status.ok())
      return status;
    looked_for_ = "nil";
    if (by_ == kNilValue) return std::nullopt;
    const absl::StatusOr<std::string_view> text = KeyTextOf(by_, &scratch_);
    if (!text.ok()) {
      return absl::InvalidArgumentError(
          "`by` gave a list or an object, and a row is found by a string, a number or a boolean");
    }
    looked_for_ = *text;
    return lookup_.loaded->Find(*text);
  }

  // The record's fields, but the one of that name, and the row behind them.
  absl::Status Join(const RecordView& record, std::string_view row) {
    fields_.clear();
    packed_.clear();
    const bool is_row = record.shape >= kFirstRowShape && record.fields != nullptr;
    PackReader reader(record.value);
    PackToken object;
    if (!is_row &&
        (record.shape != kPackedShape || !reader.Next(&object) || object.type != PackToken::Type::kMap)) {
      return absl::InvalidArgumentError(
          "only an object can be joined with a row — put a `map: { … }` in front");
    }
    const size_t count = is_row ? record.fields->size() : object.count;
    for (size_t i = 0; i < count; ++i) {
      PackToken field;
      if (is_row) {
        field.text = (*record.fields)[i];
      } else if (!reader.Next(&field) || field.type != PackToken::Type::kString) {
        return absl::InvalidArgumentError("only an object whose fields have names can be joined with a row");
      }
      const char* const begin = reader.position();
      if (!reader.Skip()) return absl::InvalidArgumentError("the record's value is malformed");
      if (field.text == lookup_.as) continue;
      fields_.push_back(field.text);
      packed_.append(begin, static_cast<size_t>(reader.position() - begin));
    }
    if (fields_.size() >= kMaxShapeFields) {
      return absl::InvalidArgumentError(StrCat("an object has at most ", kMaxShapeFields, " fields"));
    }
    fields_.push_back(lookup_.as);
    packed_.append(row);
    return absl::OkStatus();
  }

  const LookupStage lookup_;
  LuaSandbox* const lua_;
  const LuaSandbox::ChunkId chunk_;
  std::string by_;  // scratch, as all that follows
  std::string scratch_;
  std::string looked_for_;
  FieldNames fields_;
  std::string packed_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> MakeLookupStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                       LuaSandbox* lua, StepContext* context) {
  const auto& lookup = std::get<LookupStage>(spec.what);
  const absl::StatusOr<LuaSandbox::ChunkId> chunk =
      lua->AddExpressions(spec.code.name, spec.code.place, {lookup.by});
  if (!chunk.ok()) return chunk.status();
  if (lookup.loaded == nullptr) {
    return absl::FailedPreconditionError(StrCat("table ", lookup.table, " is not loaded here"));
  }
  return std::make_unique<LookupStageImpl>(spec, job_errors, lua, *chunk, context);
}

}  // namespace millrace
