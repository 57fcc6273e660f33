// What a pool costs a record whose code takes next to nothing: frames of 128 through a pipeline of one `map`.
#include <sys/resource.h>

#include <algorithm>

#include "common/handler/call_memos.h"
#include "common/handler/handler_stages.h"
#include "common/job/job_parser.h"
#include "common/pipeline/lua_handler.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "integration/bench/running_pool.h"

namespace millrace::bench {
namespace {

constexpr uint64_t kFramesAhead = 32;

class NoSink final : public StepSink {
 public:
  void Emit(const RecordView&) override { ++outputs; }
  void Reject(const DeadLetter&) override {}
  uint64_t outputs = 0;
};

std::string QuickFrame() {
  FrameBuilder frame;
  const std::string_view fields[] = {"v", "name"};
  const uint32_t shape = frame.InternShape(fields);
  for (uint32_t i = 0; i < kQuickFrameRecords; ++i) {
    std::string value;
    const std::string key = StrCat("key-", i);
    PackWriter writer(&value);
    writer.Uint(i);
    writer.String("a name");
    RecordView record;
    record.key = key;
    record.value = value;
    record.shape = shape;
    frame.Add(record);
  }
  return std::string(frame.Finish());
}

// The same frame again and again.
class SameFrames final : public MessagesAhead {
 public:
  SameFrames(const FrameView& frame, uint64_t first, uint64_t last)
      : frame_(frame), next_(first), last_(last) {}
  bool Next(StepInput* input) override {
    if (next_ > last_) return false;
    *input = InputFor(frame_, next_++);
    return true;
  }
  static StepInput InputFor(const FrameView& frame, uint64_t offset) {
    StepInput input;
    input.offset = Offset(offset);
    input.broker_time_ms = static_cast<int64_t>(offset);
    input.frame = &frame;
    return input;
  }

 private:
  const FrameView& frame_;
  uint64_t next_;
  const uint64_t last_;
};

double CpuMicros() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto micros = [](const timeval& time) {
    return 1e6 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec);
  };
  return micros(used.ru_utime) + micros(used.ru_stime);
}

}  // namespace

absl::StatusOr<double> QuickCallMicros(uint32_t concurrency, uint64_t frames) {
  const absl::StatusOr<JobSpec> job = ParseJob(
      "bench.yaml",
      StrCat("name: bench\nkey: k\nstages:\n  - map: { v: r.v }\n    concurrency: ", concurrency, "\n"));
  if (!job.ok()) return job.status();
  const std::vector<HandlerStage> stages = HandlerStagesOf(*job, "uid", PooledLua::kInThreads);
  CallMemos memos(1, stages);
  std::unique_ptr<RunningPool> pool;
  PipelineOptions options;
  if (!stages.empty()) {
    options.calls = &memos;
    pool = std::make_unique<RunningPool>(stages.front(), [&]() -> std::unique_ptr<PoolCode> {
      auto code = LuaHandler::Create(*stages.front().lua, options.lua_memory_bytes, nullptr);
      return code.ok() ? *std::move(code) : nullptr;
    });
  }
  const auto pipeline = Pipeline::Create(*job, options);
  if (!pipeline.ok()) return pipeline.status();
  const std::string bytes = QuickFrame();
  const absl::StatusOr<FrameView> frame = FrameView::Parse(bytes);
  if (!frame.ok()) return frame.status();
  MemoryState state;
  NoSink sink;
  const double began = CpuMicros();
  for (uint64_t offset = 1; offset <= frames; ++offset) {
    StepInput input = SameFrames::InputFor(*frame, offset);
    for (bool done = false; !done;) {
      while (memos.outstanding(input.offset) > 0) {
        for (CallAnswer& answer : pool->Next()) memos.Take(std::move(answer));
      }
      SameFrames ahead(*frame, offset + 1, std::min(offset + kFramesAhead, frames));
      input.ahead = &ahead;
      const absl::StatusOr<StepResult> result = (*pipeline)->Step(input, state, sink);
      if (!result.ok()) return result.status();
      for (auto& [at, calls] : memos.TakeAsked()) pool->Ask(std::move(calls));
      done = result->done;
    }
    memos.Finish(input.offset);
  }
  if (sink.outputs != frames * kQuickFrameRecords) return absl::InternalError("the pool lost records");
  return (CpuMicros() - began) / static_cast<double>(frames * kQuickFrameRecords);
}

}  // namespace millrace::bench
