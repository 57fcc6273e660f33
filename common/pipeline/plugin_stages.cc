#include "common/pipeline/plugin_stages.h"

#include <string>
#include <utility>

#include "common/pipeline/expression_stages.h"
#include "common/pipeline/header_codec.h"
#include "common/plugin/plugin_instance.h"
#include "common/strings.h"

namespace millrace {
namespace {

absl::StatusOr<std::unique_ptr<PluginInstance>> MakeInstance(const StageSpec& spec) {
  const PluginSpec& plugin = *PluginOf(spec);
  if (plugin.loaded == nullptr) {
    return absl::FailedPreconditionError(StrCat("plugin ", plugin.file, " is not loaded here"));
  }
  return PluginInstance::Create(plugin.loaded);
}

class PluginKeyedCode final : public KeyedCode {
 public:
  PluginKeyedCode(const StageSpec& spec, std::unique_ptr<PluginInstance> instance, StepContext* context)
      : name_(spec.code.name),
        timeout_(spec.code.timeout),
        instance_(std::move(instance)),
        context_(context) {}

  absl::StatusOr<bool> Run(const LuaInput& input, KeyedCall* call) override {
    const ObservedCall observed(*context_, timeout_, name_);
    LuaInput timed = input;
    if (timed.time_ms == kNoTime) timed.time_ms = context_->broker_time_ms;
    if (absl::Status status = instance_->Run(timed, context_->observer, call); !status.ok()) return status;
    return true;
  }
  bool has_on_timer() const override { return instance_->has_on_timer(); }

 private:
  const std::string name_;
  const absl::Duration timeout_;
  const std::unique_ptr<PluginInstance> instance_;
  StepContext* const context_;
};

class PluginFlatMapStage final : public Stage {
 public:
  PluginFlatMapStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                     std::unique_ptr<PluginInstance> instance, StepContext* context)
      : Stage(spec, job_errors, context), instance_(std::move(instance)) {}

  Traits traits() const override { return {.fans_out = true}; }

  absl::Status Process(const RecordView& record) override {
    if (absl::Status status = Run(record); !status.ok()) return Fail(status);
    for (size_t i = 0; i < call_.emitted_count; ++i) {
      const KeyedCall::Emitted& emitted = call_.emitted[i];
      RecordView item = record;
      item.value = emitted.packed;
      item.shape = kPackedShape;
      item.fields = nullptr;
      if (emitted.has_key) item.key = emitted.key;
      if (!emitted.headers.empty()) {
        if (absl::Status status = MergeHeaders(record.raw_headers, emitted.headers, &item_headers_);
            !status.ok()) {
          return Fail(status);
        }
        item.raw_headers = item_headers_;
      }
      if (absl::Status status = HandOn(item); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Run(const RecordView& record) {
    const ObservedCall observed(context(), timeout(), name());
    LuaInput input = InputOf(record, context());
    if (input.time_ms == kNoTime) input.time_ms = context().broker_time_ms;
    return instance_->Run(input, context().observer, &call_);
  }

  const std::unique_ptr<PluginInstance> instance_;
  KeyedCall call_;
  std::string item_headers_;  // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<KeyedCode>> MakePluginKeyedCode(const StageSpec& spec, StepContext* context) {
  absl::StatusOr<std::unique_ptr<PluginInstance>> instance = MakeInstance(spec);
  if (!instance.ok()) return instance.status();
  return std::make_unique<PluginKeyedCode>(spec, *std::move(instance), context);
}

absl::StatusOr<std::unique_ptr<Stage>> MakePluginFlatMapStage(const StageSpec& spec,
                                                              const ErrorPolicy& job_errors,
                                                              StepContext* context) {
  absl::StatusOr<std::unique_ptr<PluginInstance>> instance = MakeInstance(spec);
  if (!instance.ok()) return instance.status();
  return std::make_unique<PluginFlatMapStage>(spec, job_errors, *std::move(instance), context);
}

}  // namespace millrace
