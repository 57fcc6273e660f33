// What an open window costs in memory, and what it takes to open and close it, with commits as a worker makes them.
// `./run microbench --benchmark_filter=Window`.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "common/frame/frame.h"
#include "common/job/job_parser.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "worker/state/state_store.h"

namespace millrace {
namespace {

constexpr size_t kRecordsOfFrame = 128;
constexpr size_t kFramesOfCommit = 1024;
constexpr int64_t kHourMs = 3'600'000;

class ClosedWindows : public StepSink {
 public:
  void Emit(const RecordView&) override { ++count; }
  void Reject(const DeadLetter&) override { std::abort(); }
  uint64_t count = 0;
};

double ResidentBytes() {
  long pages = 0;
  if (FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

class WindowedPartition {
 public:
  explicit WindowedPartition(const std::string& window) {
    path_ = (std::filesystem::temp_directory_path() / "millrace-bench-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
    auto db = PartitionDb::Open(path_ + "/db", DbResources::Create({}));
    if (!db.ok()) std::abort();
    auto store = StateStore::Open(*std::move(db), {.memory_budget_bytes = size_t{1} << 30});
    const auto spec =
        ParseJob("bench.yaml", StrCat("name: bench\nkey: k\ntime: { field: t }\nstages:\n  - window: { ",
                                      window, ", aggregate: { n: count(), sum: sum(v) } }\n"));
    if (!spec.ok() || !store.ok()) std::abort();
    auto pipeline = Pipeline::Create(*spec, {});
    if (!pipeline.ok()) std::abort();
    store_ = *std::move(store);
    pipeline_ = *std::move(pipeline);
  }
  ~WindowedPartition() {
    pipeline_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  void Add(size_t key, int64_t time_ms) {
    static constexpr std::string_view kNames[] = {"v"};
    value_.clear();
    PackWriter(&value_).Int(static_cast<int64_t>(key));
    key_ = absl::StrFormat("k%07d", key);
    RecordView record;
    record.key = key_;
    record.value = value_;
    record.shape = builder_.InternShape(kNames);
    record.time_ms = time_ms;
    builder_.Add(record);
    if (builder_.record_count() == kRecordsOfFrame) Step(kNoTime);
  }
  void Step(int64_t watermark_ms) {
    builder_.SetWatermark(watermark_ms);
    FrameView view;
    if (!view.ParseInto(builder_.Finish()).ok()) std::abort();
    StepInput input;
    input.frame = &view;
    input.offset = Offset(++offset_);
    input.broker_time_ms = static_cast<int64_t>(offset_);
    input.watermark_ms = watermark_ms;
    if (!pipeline_->Step(input, *store_, sink_).ok()) std::abort();
    builder_.Reset(FrameKind::kData);
    if (offset_ % kFramesOfCommit == 0) Commit();
  }
  void Commit() {
    CommitRow row;
    row.uid = "9f86d081884c7d65";
    row.offset = Offset(offset_);
    const auto frozen = store_->Freeze(row);
    if (!frozen->Write(store_->db()).ok()) std::abort();
    store_->OnCommitted();
  }
  uint64_t closed() const { return sink_.count; }
  size_t memory_bytes() const { return store_->memory_bytes(); }

 private:
  std::string path_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
  ClosedWindows sink_;
  FrameBuilder builder_;
  std::string key_, value_;
  uint64_t offset_ = 0;
};

// Each key has one open window, and then event time passes the end of all.
void RunWindows(benchmark::State& state, const std::string& window) {
  const auto keys = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const double before = ResidentBytes();
    WindowedPartition partition(window);
    for (size_t i = 0; i < keys; ++i) partition.Add(i * 7919 % keys, static_cast<int64_t>(i % 1000));
    partition.Step(0);
    partition.Commit();
    const auto windows = static_cast<double>(keys);
    state.counters["resident_bytes_a_window"] = (ResidentBytes() - before) / windows;
    state.counters["store_bytes_a_window"] = static_cast<double>(partition.memory_bytes()) / windows;
    partition.Step(3 * kHourMs);
    if (partition.closed() != keys) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(keys));
}
void BM_TumblingWindows(benchmark::State& state) { RunWindows(state, "tumbling: 1h"); }
void BM_SessionWindows(benchmark::State& state) { RunWindows(state, "session: 1h"); }
BENCHMARK(BM_TumblingWindows)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(BM_SessionWindows)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
