// The parallel consumer's published test: records that take 0 to 5 ms each, of 20 keys in order, or in none. They
// sleep, so that a machine with few cores can have sixteen of them under way. The ceiling is the least time in which
// it can be done: all work shared out evenly, or the work of the key that has most.
#include <algorithm>
#include <random>
#include <string_view>

#include "common/strings.h"
#include "common/value/msgpack.h"
#include "integration/bench/running_pool.h"

namespace millrace::bench {
namespace {

constexpr uint32_t kThreads = 16;
constexpr int64_t kMaxCallMicros = 5000;
constexpr uint32_t kSlowKeys = 20;

struct SlowRecord {
  uint32_t key;
  absl::Duration takes;
  absl::Duration took;  // a sleep is longer than it was asked for
};

// Sleeps for each call of a batch as long as its record says.
class SleepingCode final : public PoolCode {
 public:
  explicit SleepingCode(std::vector<SlowRecord>& records) : records_(records) {}
  std::string Run(std::string_view batch) override {
    PackReader reader(batch);
    PackToken token, name;
    std::string_view id;
    reader.Next(&token);
    for (uint32_t left = token.count; left > 0; --left) {
      reader.Next(&name);
      if (name.text == "calls") {
        RunCalls(&reader);
      } else if (name.text == "id") {
        reader.Next(&token);
        id = token.text;
      } else {
        reader.Skip();
      }
    }
    std::string body;
    PackWriter writer(&body);
    writer.Map(1);
    writer.String("id");
    writer.String(id);
    return body;
  }

 private:
  void RunCalls(PackReader* reader) {
    PackToken token;
    reader->Next(&token);
    for (uint32_t left = token.count; left > 0; --left) {
      PackToken value;
      reader->Next(&token);
      reader->Skip();
      reader->Skip();
      reader->Next(&value);
      for (int rest = 0; rest < 3; ++rest) reader->Skip();
      SlowRecord& record = records_[static_cast<size_t>(value.integer)];
      const absl::Duration began = SystemClock().Monotonic();
      SystemClock().Sleep(record.takes);
      record.took = SystemClock().Monotonic() - began;
    }
  }

  std::vector<SlowRecord>& records_;  // each is touched by the thread that runs it
};

HandlerCall SlowCall(uint64_t number, uint32_t key) {
  HandlerCall call;
  call.asker = 1;
  call.serial = number + 1;
  call.key = StrCat("key-", key);
  call.state = std::string(kNoPackedState);
  PackWriter writer(&call.packed);
  writer.Uint(number);
  writer.Int(0);
  writer.Nil();
  writer.String(StrCat("0.0.", number));
  return call;
}

}  // namespace

Json RunSlowCalls(CallOrder ordered, size_t count) {
  std::mt19937_64 random(1);
  std::vector<SlowRecord> records(count);
  for (SlowRecord& record : records) {
    record.key = static_cast<uint32_t>(random() % kSlowKeys);
    record.takes = absl::Microseconds(static_cast<int64_t>(random() % (kMaxCallMicros + 1)));
  }
  HandlerStage stage;
  stage.name = "slow";
  stage.mode = HandlerMode::kStateless;
  stage.concurrency = kThreads;
  stage.ordered = ordered;
  stage.lua = std::make_shared<const StageSpec>();
  RunningPool pool(stage, [&] { return std::make_unique<SleepingCode>(records); });
  std::vector<HandlerCall> calls;
  for (size_t i = 0; i < count; ++i) calls.push_back(SlowCall(i, records[i].key));
  const absl::Duration began = SystemClock().Monotonic();
  pool.Ask(std::move(calls));
  for (size_t answered = 0; answered < count;) answered += pool.Next().size();
  const absl::Duration took = SystemClock().Monotonic() - began;

  absl::Duration all;
  std::vector<absl::Duration> of_key(kSlowKeys);
  for (const SlowRecord& record : records) {
    all += record.took;
    of_key[record.key] += record.took;
  }
  absl::Duration least = all / kThreads;
  if (ordered != CallOrder::kNone) least = std::max(least, *std::max_element(of_key.begin(), of_key.end()));
  return {{"seconds", absl::ToDoubleSeconds(took)},
          {"ceiling_seconds", absl::ToDoubleSeconds(least)},
          {"ratio", absl::FDivDuration(took, least)}};
}

}  // namespace millrace::bench
