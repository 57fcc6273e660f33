#include "common/pipeline/remote_flat_map.h"

#include <string>

#include "common/pipeline/handler_caller.h"
#include "common/pipeline/header_codec.h"

namespace millrace {
namespace {

class RemoteFlatMapStage final : public Stage {
 public:
  RemoteFlatMapStage(const StageSpec& spec, const ErrorPolicy& job_errors, StepContext* context)
      : Stage(spec, job_errors, context), caller_(spec.code.name, context->calls) {}

  Traits traits() const override { return {.fans_out = true}; }

  absl::Status Process(const RecordView& record) override {
    const absl::StatusOr<const CallOutcome*> outcome =
        caller_.Call(context(), &record, record.key, record.time_ms, /*state=*/{});
    if (!outcome.ok()) return outcome.status();
    if (*outcome == nullptr) return absl::OkStatus();
    if ((*outcome)->kind == CallOutcome::Kind::kFailed) return Fail((*outcome)->why);
    for (const HandlerOutput& output : (*outcome)->outputs) {
      RecordView item = record;
      item.value = output.value;
      item.shape = kPackedShape;
      item.fields = nullptr;
      if (output.key.has_value()) item.key = *output.key;
      if (!output.headers.empty()) {
        if (absl::Status status = MergeHeaders(record.raw_headers, output.headers, &headers_); !status.ok()) {
          return Fail(status);
        }
        item.raw_headers = headers_;
      }
      if (absl::Status status = HandOn(item); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  HandlerCaller caller_;
  std::string headers_;  // scratch
};

}  // namespace

std::unique_ptr<Stage> MakeRemoteFlatMapStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                              StepContext* context) {
  return std::make_unique<RemoteFlatMapStage>(spec, job_errors, context);
}

}  // namespace millrace
