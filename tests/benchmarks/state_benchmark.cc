// What a record pays for its state: lookups in a warm store with and without a hint, and commits of many
// partitions. Run a release build: `state_benchmark --benchmark_filter=Find`.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/state/partition_db.h"
#include "worker/state/state_store.h"

namespace millrace {
namespace {

constexpr size_t kValueBytes = 16;

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

std::vector<std::string> Keys(size_t count) {
  std::vector<std::string> keys;
  keys.reserve(count);
  for (size_t i = 0; i < count; ++i) keys.push_back(absl::StrFormat("user-%09u", i * 7919 % count));
  return keys;
}

std::unique_ptr<StateStore> OpenStore(const std::string& dir, const std::shared_ptr<DbResources>& resources,
                                      size_t budget_bytes = size_t{1} << 30) {
  auto db = PartitionDb::Open(dir, resources);
  if (!db.ok()) std::abort();
  auto store = StateStore::Open(*std::move(db), {.memory_budget_bytes = budget_bytes});
  if (!store.ok()) std::abort();
  return *std::move(store);
}

void Count(StateStore& store, std::string_view key) {
  StateSlot& slot = **store.Find(0, key);
  ++*slot.Mutable(kValueBytes);
}

CommitRow RowAt(uint64_t offset) {
  CommitRow row;
  row.uid = "9f86d081884c7d65";
  row.offset = Offset(offset);
  return row;
}

void Commit(StateStore& store, uint64_t offset) {
  const auto frozen = store.Freeze(RowAt(offset));
  if (!frozen->Write(store.db()).ok()) std::abort();
  store.OnCommitted();
}

// Range 0: keys; range 1: how many are hinted at together, 0 for none.
void BM_FindWarm(benchmark::State& state) {
  const Folder folder;
  const auto store = OpenStore(folder.path() + "/db", DbResources::Create({}));
  const std::vector<std::string> keys = Keys(static_cast<size_t>(state.range(0)));
  const auto batch = static_cast<size_t>(state.range(1));
  for (const std::string& key : keys) Count(*store, key);
  // The order of lookups is not that of the allocations; the keys stand as in a frame.
  constexpr size_t kLookups = 1 << 16;
  std::mt19937_64 random(1);
  std::vector<std::string> texts;
  for (size_t i = 0; i < kLookups; ++i) texts.push_back(keys[random() % keys.size()]);
  const std::vector<std::string_view> lookups(texts.begin(), texts.end());
  size_t next = 0;
  uint64_t sum = 0;
  for (auto _ : state) {
    if (batch > 0 && next % batch == 0) store->Prefetch(0, absl::MakeSpan(lookups).subspan(next, batch));
    sum += static_cast<uint8_t>((**store->Find(0, lookups[next])).value()[0]);
    next = (next + 1) % kLookups;
  }
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(BM_FindWarm)->ArgsProduct({{10'000, 62'500, 1'000'000}, {0, 128}});

// Every key dirty, one partition after the other, as one committer does it. Range 0: rows a partition; range
// 1: partitions.
void BM_Commit(benchmark::State& state) {
  const Folder folder;
  const auto resources = DbResources::Create({});
  const std::vector<std::string> keys = Keys(static_cast<size_t>(state.range(0)));
  std::vector<std::unique_ptr<StateStore>> stores;
  for (int64_t p = 0; p < state.range(1); ++p) {
    stores.push_back(OpenStore(absl::StrFormat("%s/%d", folder.path(), p), resources));
  }
  double freeze_seconds = 0, write_seconds = 0;
  const auto since = [](std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  uint64_t offset = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (const auto& store : stores) {
      for (const std::string& key : keys) Count(*store, key);
    }
    ++offset;
    state.ResumeTiming();
    for (const auto& store : stores) {
      auto start = std::chrono::steady_clock::now();
      const auto frozen = store->Freeze(RowAt(offset));
      freeze_seconds += since(start);
      start = std::chrono::steady_clock::now();
      if (!frozen->Write(store->db()).ok()) std::abort();
      write_seconds += since(start);
      store->OnCommitted();
    }
  }
  const double rows =
      static_cast<double>(state.iterations()) * static_cast<double>(state.range(0) * state.range(1));
  state.counters["rows/s"] = benchmark::Counter(rows, benchmark::Counter::kIsRate);
  state.counters["freeze_ns/row"] = freeze_seconds / rows * 1e9;
  state.counters["write_ns/row"] = write_seconds / rows * 1e9;
}
BENCHMARK(BM_Commit)
    ->Args({62'500, 16})
    ->Args({1'000, 16})
    ->Args({100, 16})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Rows of a commit, sorted. Range 0: rows.
void BM_SortRows(benchmark::State& state) {
  const std::vector<std::string> keys = Keys(static_cast<size_t>(state.range(0)));
  std::vector<DbRow> rows;
  for (const std::string& key : keys) rows.push_back({0, key.data(), static_cast<uint32_t>(key.size()), 0});
  for (auto _ : state) {
    std::vector<DbRow> copy = rows;
    SortRows(copy);
    benchmark::DoNotOptimize(copy.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_SortRows)->Arg(62'500);

// A state eight times the budget: random keys, counted, trimmed and committed as a lane would.
void BM_CountBeyondBudget(benchmark::State& state) {
  const Folder folder;
  const auto resources = DbResources::Create({.block_cache_bytes = 8 << 20, .write_buffer_bytes = 2 << 20});
  const std::vector<std::string> keys = Keys(1'000'000);
  const auto store = OpenStore(folder.path() + "/db", resources, 16 << 20);
  uint64_t offset = 0, records = 0;
  const auto after_frame = [&] {
    store->Trim();
    if (store->wants_commit() || ++records % 2'000 == 0) Commit(*store, ++offset);
  };
  for (size_t i = 0; i < keys.size(); ++i) {
    Count(*store, keys[i]);
    if (i % 100 == 99) after_frame();
  }
  std::mt19937_64 random(1);
  std::vector<const std::string*> frame(100);
  std::vector<std::string_view> hinted;
  for (auto _ : state) {
    for (const std::string*& key : frame) key = &keys[random() % keys.size()];
    hinted.assign(frame.size(), {});
    std::transform(frame.begin(), frame.end(), hinted.begin(), [](const std::string* key) { return *key; });
    store->Prefetch(0, hinted);
    for (const std::string* key : frame) Count(*store, *key);
    after_frame();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(frame.size()));
}
BENCHMARK(BM_CountBeyondBudget)->UseRealTime();

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
