#include <map>
#include <random>

#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/names.h"
#include "common/pipeline/header_codec.h"
#include "common/strings.h"
#include "coordinator/sinks/stream_outlet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/append_trouble.h"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kTargetUid[] = "00000000000000aa";
constexpr char kTarget[] = "TOTALS";

// Who waits for acknowledgements sees time pass.
class WaitingBus : public ForwardingBus {
 public:
  WaitingBus(Bus& bus, ManualClock& clock) : ForwardingBus(bus), clock_(clock) {}
  size_t Poll(absl::Duration /*wait*/, size_t max_events, std::vector<BusEvent>* events) override {
    clock_.Advance(absl::Seconds(1));
    return ForwardingBus::Poll(absl::ZeroDuration(), max_events, events);
  }

 private:
  ManualClock& clock_;
};

struct TargetRow {
  std::string key;
  uint64_t offset = 0;
};

class StreamSinkTest : public testing::Test {
 protected:
  StreamSinkTest() : broker_(clock_), admin_(broker_.Connect()) {
    EXPECT_TRUE(admin_->CreateBucket(kAssignmentsBucket).ok());
    MakeStream(kTarget, {"totals.out"});
    sink_.kind = SinkSpec::Kind::kStream;
    sink_.stream = kTarget;
  }
  void MakeStream(const std::string& name, std::vector<std::string> subjects) {
    StreamConfig config;
    config.name = name;
    config.subjects = std::move(subjects);
    config.duplicate_window = absl::Hours(24);
    EXPECT_TRUE(admin_->CreateStream(config).ok());
  }

  struct Life {
    std::unique_ptr<MemoryBus> link;
    std::unique_ptr<StreamOutlet> outlet;
    absl::StatusOr<SinkPosition> position;
  };
  Life Begin() {
    Life life;
    life.link = broker_.Connect();
    life.outlet =
        std::make_unique<StreamOutlet>(StreamOutletOptions{kTargetUid, sink_, StrCat("writer-", ++lives_)},
                                       *admin_, std::make_unique<WaitingBus>(*life.link, clock_), clock_);
    life.position = life.outlet->Begin();
    EXPECT_TRUE(life.position.ok()) << life.position.status();
    return life;
  }
  static absl::Status Put(Life& life, const TargetRow& row) {
    RecordView record;
    record.key = row.key;
    record.value = "x";
    record.offset = Offset(row.offset);
    return life.outlet->Put(PartitionId(0), record);
  }
  static SinkPosition At(uint64_t records) {
    SinkPosition position;
    position.records = records;
    return position;
  }
  std::vector<std::string> Stored() {
    std::vector<std::string> stored;
    const auto info = admin_->GetStream(kTarget);
    for (uint64_t s = 1; s <= info->last_sequence; ++s)
      stored.push_back(admin_->GetMessage(kTarget, s)->payload);
    return stored;
  }
  static std::string Line(const TargetRow& row) {
    return StrCat(R"({"key":")", row.key, R"(","value":"x","partition":0,"offset":)", row.offset,
                  R"(,"index":0})");
  }

  ManualClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> admin_;
  SinkSpec sink_;
  int lives_ = 0;
};

TEST_F(StreamSinkTest, PublishesTheLineOfEachResult) {
  Life life = Begin();
  EXPECT_TRUE(Put(life, {"a", 1}).ok());
  EXPECT_TRUE(Put(life, {"b", 2}).ok());
  EXPECT_TRUE(Put(life, {"a", 3}).ok());
  EXPECT_TRUE(life.outlet->Commit(At(3)).ok());
  EXPECT_EQ(Stored(), (std::vector<std::string>{Line({"a", 1}), Line({"b", 2}), Line({"a", 3})}));
  EXPECT_EQ(life.outlet->ToString(), "stream TOTALS, subject totals.out");
  EXPECT_EQ(Begin().position->records, 3u) << "the next one goes on behind it";
  EXPECT_TRUE(life.outlet->End().ok());
  EXPECT_TRUE(absl::IsNotFound(admin_->GetKey(kAssignmentsBucket, SinkAtKey(kTargetUid)).status()));
}

TEST_F(StreamSinkTest, PublishesAResultsHeadersButForWhatNatsWouldTakeForSomethingElse) {
  Life life = Begin();
  std::string headers;
  EncodeHeaders({{"traceparent", "00-4bf92f35-00f067aa-01"},
                 {"Nats-Msg-Id", "of somebody else's"},
                 {"millrace", "1 d x"},
                 {"two words", "x"},
                 {"a:b", "x"},
                 {"", "x"},
                 {"Broken", "x\r\nNats-Rollup: all"},
                 {"Blank", " "},
                 {"Empty", ""},
                 {"Kind", "two words"}},
                &headers);
  RecordView record;
  record.key = "a";
  record.value = "x";
  record.offset = Offset(1);
  record.raw_headers = headers;
  EXPECT_TRUE(life.outlet->Put(PartitionId(0), record).ok());
  EXPECT_TRUE(life.outlet->Commit(At(1)).ok());
  EXPECT_EQ(Stored(), std::vector<std::string>{Line({"a", 1})});

  ReaderOptions options;
  options.stream = kTarget;
  options.user_headers = true;
  admin_->OpenReader(options);
  std::vector<BusEvent> events;
  ASSERT_EQ(admin_->Poll(absl::ZeroDuration(), 10, &events), 1u);
  EXPECT_EQ(events[0].message.user_headers,
            (UserHeaders{{"traceparent", "00-4bf92f35-00f067aa-01"}, {"Kind", "two words"}}));
}

TEST_F(StreamSinkTest, WhatIsSentAgainAfterADeathIsStoredOnce) {
  {
    Life dies = Begin();
    for (uint64_t n = 1; n <= 5; ++n) EXPECT_TRUE(Put(dies, {"a", n}).ok());
    EXPECT_TRUE(dies.outlet->Flush().ok());
  }
  Life heir = Begin();
  EXPECT_EQ(heir.position->records, 0u);
  for (uint64_t n = 1; n <= 6; ++n) EXPECT_TRUE(Put(heir, {"a", n}).ok());
  EXPECT_TRUE(heir.outlet->Commit(At(6)).ok());
  EXPECT_EQ(Stored().size(), 6u);
}

TEST_F(StreamSinkTest, AKeysNextResultDoesNotOvertakeOneThatWasLost) {
  Life life = Begin();
  life.link->HoldAppends();
  EXPECT_TRUE(Put(life, {"a", 1}).ok());
  EXPECT_TRUE(Put(life, {"b", 2}).ok()) << "of another key";
  const absl::Status waits = Put(life, {"a", 3});
  EXPECT_TRUE(absl::IsUnavailable(waits)) << waits;
  EXPECT_THAT(std::string(waits.message()),
              HasSubstr("stream TOTALS, subject totals.out has acknowledged nothing"));
}

TEST_F(StreamSinkTest, StoresEachResultOnceAndEachKeysInOrderWhateverBecomesOfAppends) {
  for (int seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    broker_.DeleteStream(kTarget);
    MakeStream(kTarget, {"totals.out"});
    admin_->DeleteKey(kAssignmentsBucket, SinkAtKey(kTargetUid)).IgnoreError();
    std::mt19937 random(seed);
    std::vector<TargetRow> rows;
    for (uint64_t n = 1; n <= 200; ++n) rows.push_back({StrCat("k", random() % 7), n});
    bool all_out = false;
    for (int life = 0; life < 400 && !all_out; ++life) {
      Life one = Begin();
      ASSERT_TRUE(one.position.ok());
      size_t next = one.position->records;
      absl::Status status;
      const size_t until = life < 300 ? next + random() % 40 : rows.size();
      for (; status.ok() && next < std::min(until, rows.size()); ++next) {
        if (life < 300) DisturbAtRandom(random, clock_, *one.link);
        status = Put(one, rows[next]);
        if (status.ok() && random() % 9 == 0) status = one.outlet->Commit(At(next + 1));
      }
      if (next < rows.size() || !status.ok()) continue;
      all_out = one.outlet->Commit(At(rows.size())).ok();
    }
    ASSERT_TRUE(all_out);
    std::map<std::string, std::vector<std::string>> expected, stored;
    for (const TargetRow& row : rows) expected[row.key].push_back(Line(row));
    for (const std::string& line : Stored()) stored[line.substr(8, 2)].push_back(line);
    EXPECT_EQ(stored, expected);
  }
}

TEST_F(StreamSinkTest, GivesUpWhenAnotherPutsPositions) {
  Life late = Begin();
  EXPECT_TRUE(Put(late, {"a", 1}).ok());
  Life next = Begin();
  EXPECT_TRUE(absl::IsAborted(late.outlet->Commit(At(1))));
  EXPECT_TRUE(Put(next, {"a", 1}).ok());
  EXPECT_TRUE(next.outlet->Commit(At(1)).ok());
  EXPECT_EQ(Stored().size(), 1u);
}

TEST_F(StreamSinkTest, FindsWhereResultsGo) {
  MakeStream("MANY", {"many.>"});
  const auto find = [&](const std::string& stream, const std::string& subject) {
    SinkSpec sink;
    sink.kind = SinkSpec::Kind::kStream;
    sink.stream = stream;
    sink.subject = subject;
    return FindTarget(*admin_, sink);
  };
  EXPECT_EQ(find("", "many.a")->stream, "MANY");
  EXPECT_EQ(find("", "many.a")->subject, "many.a");
  EXPECT_EQ(find("MANY", "many.b")->subject, "many.b");
  EXPECT_EQ(find(kTarget, "")->subject, "totals.out");
  const std::map<std::pair<std::string, std::string>, std::string> wrong = {
      {{"NONE", ""}, "there is no stream NONE"},
      {{"MANY", ""}, "holds more than one subject"},
      {{"MANY", "totals.out"}, "does not hold subject"},
      {{"", "nowhere"}, "no stream holds subject nowhere"}};
  for (const auto& [where, why] : wrong) {
    const auto target = find(where.first, where.second);
    EXPECT_TRUE(absl::IsFailedPrecondition(target.status())) << target.status();
    EXPECT_THAT(std::string(target.status().message()), HasSubstr(why));
  }
}

}  // namespace
}  // namespace millrace
