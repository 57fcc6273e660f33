// Random streams through windows, against an oracle that keeps every record and looks at all of them each time.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

constexpr int kStreams = 1500;

struct TakenRecord {
  int64_t time_ms;
  std::optional<int> v;  // none: the record is bad
  std::string kind;      // empty: the field is missing
};

struct WindowShape {
  enum { kFixed, kSession } kind;
  int64_t size_ms, every_ms, lateness_ms;

  std::string Yaml() const {
    const std::string what = kind == kSession ? StrCat("session: ", size_ms, "ms")
                             : every_ms == size_ms
                                 ? StrCat("tumbling: ", size_ms, "ms")
                                 : StrCat("sliding: ", size_ms, "ms, every: ", every_ms, "ms");
    return StrCat("time: { field: t }\nstages:\n  - window: { ", what, ", lateness: ", lateness_ms,
                  "ms, aggregate: { n: count(), total: sum(v), mean: avg(v), least: min(v), most: max(v), "
                  "first: first(s), last: last(s), kinds: distinct(s) } }\n");
  }
};

class WindowOracle {
 public:
  explicit WindowOracle(const WindowShape& shape) : shape_(shape) {}

  // Whether it counts.
  bool Take(const std::string& key, const TakenRecord& record, int64_t watermark_ms) {
    const int64_t closed_ms = watermark_ms == kNoTime ? kNoTime : watermark_ms - shape_.lateness_ms;
    return shape_.kind == WindowShape::kSession ? TakeSession(key, record, closed_ms)
                                                : TakeFixed(key, record, closed_ms);
  }

  // What closes, in order.
  std::vector<std::string> Close(int64_t watermark_ms) {
    std::vector<std::pair<std::tuple<int64_t, std::string, int64_t>, std::string>> closed;
    for (auto& [key, windows] : open_) {
      std::erase_if(windows, [&](const Window& window) {
        const bool closes = watermark_ms == kEndOfTime || window.end_ms + shape_.lateness_ms <= watermark_ms;
        if (closes) closed.push_back({{window.end_ms, key, window.start_ms}, Text(key, window)});
        return closes;
      });
    }
    std::sort(closed.begin(), closed.end());
    std::vector<std::string> texts;
    for (auto& [order, text] : closed) texts.push_back(text);
    return texts;
  }

 private:
  struct Numbered {
    uint64_t number;
    TakenRecord record;
  };
  struct Window {
    int64_t start_ms, end_ms;
    std::vector<Numbered> records;
  };

  bool TakeFixed(const std::string& key, const TakenRecord& record, int64_t closed_ms) {
    std::vector<int64_t> starts;
    for (int64_t start = -1000 / shape_.every_ms * shape_.every_ms; start <= record.time_ms;
         start += shape_.every_ms) {
      const bool holds = start <= record.time_ms && record.time_ms < start + shape_.size_ms;
      if (holds && start + shape_.size_ms > closed_ms) starts.push_back(start);
    }
    if (starts.empty() || !record.v) return false;
    ++number_;
    for (const int64_t start : starts) {
      auto& windows = open_[key];
      auto found =
          std::find_if(windows.begin(), windows.end(), [&](const Window& w) { return w.start_ms == start; });
      if (found == windows.end()) found = windows.insert(found, {start, start + shape_.size_ms, {}});
      found->records.push_back({number_, record});
    }
    return true;
  }

  bool TakeSession(const std::string& key, const TakenRecord& record, int64_t closed_ms) {
    Window joined{record.time_ms, record.time_ms + shape_.size_ms, {{++number_, record}}};
    auto& windows = open_[key];
    const auto touches = [&](const Window& w) {
      return w.end_ms > record.time_ms && w.start_ms < record.time_ms + shape_.size_ms;
    };
    const bool any = std::any_of(windows.begin(), windows.end(), touches);
    if ((!any && joined.end_ms <= closed_ms) || !record.v) return false;
    for (const Window& w : windows) {
      if (!touches(w)) continue;
      joined.start_ms = std::min(joined.start_ms, w.start_ms);
      joined.end_ms = std::max(joined.end_ms, w.end_ms);
      joined.records.insert(joined.records.end(), w.records.begin(), w.records.end());
    }
    std::erase_if(windows, touches);
    windows.push_back(joined);
    return true;
  }

  static std::string Text(const std::string& key, Window window) {
    std::sort(window.records.begin(), window.records.end(),
              [](const Numbered& a, const Numbered& b) { return a.number < b.number; });
    int64_t total = 0, least = INT64_MAX, most = INT64_MIN;
    std::vector<std::string> kinds;
    for (const auto& [number, record] : window.records) {
      total += *record.v;
      least = std::min<int64_t>(least, *record.v);
      most = std::max<int64_t>(most, *record.v);
      if (!record.kind.empty()) kinds.push_back(StrCat("\"", record.kind, "\""));
    }
    const double mean = static_cast<double>(total) / static_cast<double>(window.records.size());
    std::string packed, mean_text;
    PackWriter(&packed).Double(mean);
    EXPECT_TRUE(AppendPackedJson(packed, &mean_text).ok());
    return StrCat(key, " {\"n\":", window.records.size(), ",\"total\":", total, ",\"mean\":", mean_text,
                  ",\"least\":", least, ",\"most\":", most,
                  ",\"first\":", kinds.empty() ? "null" : kinds.front(),
                  ",\"last\":", kinds.empty() ? "null" : kinds.back(),
                  ",\"kinds\":", std::set<std::string>(kinds.begin(), kinds.end()).size(),
                  ",\"window_start\":", window.start_ms, ",\"window_end\":", window.end_ms, "}");
  }

  const WindowShape shape_;
  uint64_t number_ = 0;
  std::map<std::string, std::vector<Window>> open_;
};

// A copy, as a commit would bring it back.
std::unique_ptr<MemoryState> CopyOf(MemoryState& state) {
  auto copy = std::make_unique<MemoryState>();
  copy->progress() = state.progress();
  for (TableId table = 0; table < kMaxStateTables; ++table) {
    const absl::Status scanned = state.Scan(table, {}, [&](std::string_view key, std::string_view value) {
      std::copy(value.begin(), value.end(), (*copy->Find(table, key))->Mutable(value.size()));
      return true;
    });
    EXPECT_TRUE(scanned.ok()) << scanned;
    std::vector<std::string> items;
    while (state.Ordered(table).size() > 0) {
      items.emplace_back(state.Ordered(table).First());
      state.Ordered(table).Erase(items.back());
    }
    for (const std::string& item : items) {
      EXPECT_TRUE(state.Ordered(table).Insert(item).ok());
      EXPECT_TRUE(copy->Ordered(table).Insert(item).ok());
    }
  }
  return copy;
}

struct LogMessage {
  std::string frame;
  std::vector<std::string> expected;
  size_t letters = 0;
};

struct RandomStream {
  WindowShape shape;
  std::vector<LogMessage> log;
};

RandomStream MakeStream(std::mt19937_64& random) {
  const auto upto = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  RandomStream stream;
  stream.shape.kind = upto(1) == 0 ? WindowShape::kFixed : WindowShape::kSession;
  stream.shape.size_ms = 1 + upto(60);
  stream.shape.every_ms = upto(1) == 0 ? stream.shape.size_ms : 1 + upto(stream.shape.size_ms - 1);
  stream.shape.lateness_ms = upto(2) == 0 ? 0 : upto(80);
  WindowOracle oracle(stream.shape);
  int64_t now_ms = 100, watermark_ms = kNoTime, greatest_ms = kNoTime;
  const int64_t disorder_ms = upto(100), keys = 1 + upto(4);
  const int64_t messages = 3 + upto(25);
  for (int64_t m = 0; m <= messages; ++m) {
    LogMessage message;
    std::vector<Input> records;
    for (int64_t i = m == messages ? 0 : upto(8); i > 0; --i) {
      now_ms += upto(12);
      TakenRecord record{now_ms - upto(disorder_ms), std::nullopt, ""};
      if (upto(30) > 0) record.v = static_cast<int>(upto(20)) - 10;
      if (upto(4) > 0) record.kind = std::string(1, static_cast<char>('a' + upto(5)));
      const std::string key(1, static_cast<char>('k' + upto(keys)));
      const std::string v = record.v ? StrCat(*record.v) : "\"bad\"";
      const std::string s = record.kind.empty() ? "" : StrCat(",\"s\":\"", record.kind, "\"");
      records.push_back({key, StrCat("{\"v\":", v, s, "}"), record.time_ms});
      greatest_ms = std::max(greatest_ms, record.time_ms);
      if (!oracle.Take(key, record, watermark_ms)) ++message.letters;
    }
    if (upto(2) > 0) watermark_ms = greatest_ms;
    const bool last = m == messages;
    message.frame = FrameOf(records, watermark_ms, last ? FrameKind::kEnd : FrameKind::kData);
    message.expected = oracle.Close(last ? kEndOfTime : watermark_ms);
    stream.log.push_back(std::move(message));
  }
  return stream;
}

class SteppedMachine {
 public:
  explicit SteppedMachine(const JobSpec& spec) : spec_(spec) { Start(std::make_unique<MemoryState>()); }

  void Start(std::unique_ptr<MemoryState> state) {
    state_ = std::move(state);
    auto pipeline = Pipeline::Create(spec_, {});
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }
  RecordingSink Step(const RandomStream& stream, size_t message) {
    RecordingSink sink;
    auto frame = FrameView::Parse(stream.log[message].frame);
    EXPECT_TRUE(frame.ok());
    StepInput input;
    input.offset = Offset(message + 1);
    input.broker_time_ms = static_cast<int64_t>(message) * 1000;
    input.frame = &*frame;
    input.watermark_ms = frame->watermark_ms();
    input.ends_input = frame->kind() == FrameKind::kEnd;
    EXPECT_TRUE(pipeline_->Step(input, *state_, sink).ok());
    return sink;
  }
  MemoryState& state() { return *state_; }

 private:
  const JobSpec spec_;
  std::unique_ptr<MemoryState> state_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST(WindowOracleTest, RandomStreamsWithCrashesComeToWhatTheOracleSays) {
  for (int seed = 1; seed <= kStreams; ++seed) {
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    const RandomStream stream = MakeStream(random);
    const std::string told = StrCat("seed ", seed, "\n", stream.shape.Yaml());
    SteppedMachine machine(PipelineRig::Parse(stream.shape.Yaml()));
    size_t committed = 0;
    std::unique_ptr<MemoryState> commit = CopyOf(machine.state());
    int crashes = 3;
    for (size_t m = 0; m < stream.log.size(); ++m) {
      const RecordingSink sink = machine.Step(stream, m);
      ASSERT_EQ(sink.outputs, stream.log[m].expected) << told << "message " << m;
      ASSERT_EQ(sink.letters.size(), stream.log[m].letters) << told << "message " << m;
      if (random() % 4 == 0) {
        commit = CopyOf(machine.state());
        committed = m + 1;
      } else if (crashes > 0 && random() % 8 == 0) {
        --crashes;
        machine.Start(CopyOf(*commit));
        m = committed - 1;  // size_t wraps round to the first
      }
    }
    const std::string left = machine.state().Dump();
    ASSERT_EQ(left.find(" = "), std::string::npos) << told << left;
    ASSERT_EQ(left.find("waits"), std::string::npos) << told << left;
  }
}

}  // namespace
}  // namespace millrace
