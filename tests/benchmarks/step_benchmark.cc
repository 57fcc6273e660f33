// What a record costs on its lane before and after the broker: the frame read in place, the pure step, the
// outputs packed. Run it with `./run microbench --benchmark_filter=Total`.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/frame/frame.h"
#include "common/job/job_parser.h"
#include "common/pipeline/pipeline.h"
#include "common/value/msgpack.h"
#include "worker/state/state_store.h"

namespace millrace {
namespace {

constexpr size_t kFrameRecords = 128;
constexpr size_t kResultBytes = 64 << 10;  // a message of results, about

// As the result writer does: packs outputs into frames.
class PackingSink : public StepSink {
 public:
  void Emit(const RecordView& record) override {
    RecordView labelled = record;
    if (record.fields != nullptr) labelled.shape = frame_.InternShape(*record.fields);
    frame_.Add(labelled);
    if (frame_.size() < kResultBytes) return;
    benchmark::DoNotOptimize(frame_.Finish());
    frame_.Reset(FrameKind::kResults);
  }
  void Reject(const DeadLetter&) override { std::abort(); }

 private:
  FrameBuilder frame_{FrameKind::kResults};
};

class CountingSink : public StepSink {
 public:
  void Emit(const RecordView&) override { ++count_; }
  void Reject(const DeadLetter&) override { std::abort(); }

 private:
  uint64_t count_ = 0;
};

JobSpec RunningTotal() {
  const auto spec = ParseJob("bench.yaml",
                             "name: bench\nsource: { format: jsonl }\nkey: k\n"
                             "stages:\n  - aggregate: { count: count(), sum: sum(v) }\n");
  if (!spec.ok()) std::abort();
  return *spec;
}

std::vector<std::string> Frames(size_t keys) {
  static constexpr std::string_view kNames[] = {"v", "pad"};
  std::vector<std::string> frames;
  std::mt19937_64 random(1);
  FrameBuilder builder;
  std::string value;
  for (size_t i = 0; i < std::max<size_t>(4 * keys, kFrameRecords); ++i) {
    const uint64_t number = random() % keys;
    value.clear();
    PackWriter writer(&value);
    writer.Int(static_cast<int64_t>(number));
    writer.String("0123456789012345678");
    const std::string key = absl::StrFormat("k%07d", number);
    RecordView record;
    record.key = key;
    record.value = value;
    record.shape = builder.InternShape(kNames);
    builder.Add(record);
    if (builder.record_count() < kFrameRecords) continue;
    frames.emplace_back(builder.Finish());
    builder.Reset(FrameKind::kData);
  }
  return frames;
}

class Folder {
 public:
  Folder() {
    path_ = (std::filesystem::temp_directory_path() / "millrace-bench-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <typename Sink>
void RunTotal(benchmark::State& state) {
  const Folder folder;
  auto db = PartitionDb::Open(folder.path() + "/db", DbResources::Create({}));
  if (!db.ok()) std::abort();
  auto store = StateStore::Open(*std::move(db), {.memory_budget_bytes = size_t{1} << 30});
  auto pipeline = Pipeline::Create(RunningTotal(), {});
  if (!store.ok() || !pipeline.ok()) std::abort();
  const std::vector<std::string> frames = Frames(static_cast<size_t>(state.range(0)));
  Sink sink;
  FrameView view;
  StepInput input;
  input.frame = &view;
  uint64_t offset = 0;
  const auto step = [&] {
    input.offset = Offset(++offset);
    input.broker_time_ms = static_cast<int64_t>(offset);
    if (!view.ParseInto(frames[offset % frames.size()]).ok()) std::abort();
    if (!(*pipeline)->Step(input, **store, sink).ok()) std::abort();
  };
  while (offset < frames.size()) step();  // every key is there: what is measured is not its coming
  for (auto _ : state) step();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kFrameRecords));
}
void BM_TotalStep(benchmark::State& state) { RunTotal<CountingSink>(state); }
void BM_TotalPacked(benchmark::State& state) { RunTotal<PackingSink>(state); }
BENCHMARK(BM_TotalStep)->Arg(625)->Arg(62'500)->Arg(500'000);
BENCHMARK(BM_TotalPacked)->Arg(625)->Arg(62'500)->Arg(500'000);

// A plain NATS client's message: one JSON line.
void BM_Stranger(benchmark::State& state) {
  const Folder folder;
  auto db = PartitionDb::Open(folder.path() + "/db", DbResources::Create({}));
  if (!db.ok()) std::abort();
  auto store = StateStore::Open(*std::move(db), {.memory_budget_bytes = size_t{1} << 30});
  auto pipeline = Pipeline::Create(RunningTotal(), {});
  if (!store.ok() || !pipeline.ok()) std::abort();
  std::vector<std::string> lines;
  for (int i = 0; i < 625; ++i) lines.push_back(absl::StrFormat("{\"k\":\"k%07d\",\"v\":%d}", i, i));
  PackingSink sink;
  StepInput input;
  input.stranger = true;
  uint64_t offset = 0;
  for (auto _ : state) {
    input.offset = Offset(++offset);
    input.broker_time_ms = static_cast<int64_t>(offset);
    input.payload = lines[offset % lines.size()];
    if (!(*pipeline)->Step(input, **store, sink).ok()) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Stranger);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
