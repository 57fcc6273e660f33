// How a partition passes from one version of the job's code to the next: at a mark in its log.
#include <utility>

#include "common/check.h"
#include "common/failpoint.h"
#include "common/frame/code_mark.h"
#include "common/log.h"
#include "common/strings.h"
#include "worker/partition/cookie.h"
#include "worker/partition/partition.h"

namespace millrace {
namespace {

constexpr absl::Duration kMarkAckDeadline = absl::Seconds(5);  // a lost ack gives no event

constexpr uint64_t CodeMarkCookie(uint64_t instance) {
  return instance << kCookieInstanceShift | kCodeMarkCookie;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pipeline>> Partition::MakePipeline(const SegmentVersions& versions,
                                                                  uint64_t version,
                                                                  const PartitionOptions& options,
                                                                  const Parts& parts) {
  MILLRACE_CHECK(version < versions.size());
  PipelineOptions pipeline_options;
  pipeline_options.lua_memory_bytes = options.lua_memory_bytes;
  pipeline_options.observer = options.observer;
  pipeline_options.pacer = parts.pacer.get();
  pipeline_options.calls = parts.calls->memos();
  return Pipeline::Create(versions[version]->job, pipeline_options);
}

void Partition::HandleVersions(SegmentVersions versions) {
  if (versions.size() > opened_->versions.size()) opened_->versions = std::move(versions);
}

// Before the mark counts for anything: a commit would call it done otherwise.
bool Partition::WaitsForCode(const MessageHeader& header) {
  if (header.kind != FrameKind::kCode || header.uid != key().uid) return false;
  wanted_version_ = header.upto.offset;
  return wanted_version_ >= opened_->versions.size();
}

// The mark's own message was run under the version before: it is the last of those.
absl::Status Partition::SwitchCode(uint64_t version) {
  calls().UseCode(opened_->versions[version]->job);
  absl::StatusOr<std::unique_ptr<Pipeline>> pipeline =
      MakePipeline(opened_->versions, version, options_, parts_);
  if (!pipeline.ok()) {
    return absl::FailedPreconditionError(
        StrCat("version ", version, " of the job's code cannot run: ", ToStd(pipeline.status().message())));
  }
  inspected_before_ = Inspected();
  pipeline_ = *std::move(pipeline);
  code_version_ = version;
  marked_version_ = std::max(marked_version_, version);
  MILLRACE_FAILPOINT("after_code_switch");
  LogInfo("the job's code was updated", {{"partition", key().ToString()}, {"version", version}});
  return absl::OkStatus();
}

// One after the other: a mark is taken only behind the one before it.
void Partition::MaybeMarkCode() {
  marked_version_ = std::max(marked_version_, code_version_);
  if (marked_version_ + 1 >= opened_->versions.size() || phase_ != Phase::kRunning || !ports_.MayAct() ||
      opened_->store->progress().ended)
    return;
  const absl::Duration now = clock_.Monotonic();
  if (mark_sent_at_.has_value() && now - *mark_sent_at_ < kMarkAckDeadline) return;
  FrameBuilder mark(FrameKind::kCode);
  const std::string header = FormatMessageHeader(CodeMark(key().uid, marked_version_ + 1));
  const std::string subject = key().input_subject();
  AppendRequest request;
  request.subject = subject;
  request.header = header;
  request.payload = mark.Finish();
  request.cookie = CodeMarkCookie(options_.instance) | (marked_version_ + 1);
  if (!bus_.Append(request).ok()) return;  // asked for again at the next Tick
  mark_sent_at_ = now;
  MILLRACE_FAILPOINT("after_code_mark_sent");
}

bool Partition::HandleCodeMarked(uint64_t cookie, const absl::Status& status) {
  if ((cookie & ~kCookieCounterMask) != CodeMarkCookie(options_.instance)) return false;
  const uint64_t version = cookie & kCookieCounterMask;
  if (!status.ok() || version <= marked_version_) return true;  // refused: sent again after the deadline
  marked_version_ = version;
  mark_sent_at_.reset();
  return true;
}

std::vector<StageCount> Partition::Inspected() const {
  std::vector<StageCount> counts = inspected_before_, now;
  for (const auto& [stage, records] : pipeline_->InspectCounts()) now.push_back({stage, records});
  AddCounts(now, &counts);
  return counts;
}

}  // namespace millrace
