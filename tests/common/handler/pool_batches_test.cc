// How much a pool gives to whom.
#include <map>

#include "common/handler/handler_pool.h"
#include "common/handler/pool_thread.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// Members of a pool that answer when they are told to.
class Members : public HandlerLink {
 public:
  explicit Members(HandlerStage stage, size_t count) : pool(Options(std::move(stage)), *this, clock) {
    for (size_t i = 0; i < count; ++i) {
      pool.Receive(StrCat(i), PoolThreads::Register(pool.stage().mode));
    }
  }

  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override {
    if (kind != kBatchMessage) return true;
    PackReader reader(body);
    PackToken token, id;
    reader.Next(&token);
    reader.Next(&token);
    reader.Next(&id);  // the first of its keys
    batches[peer].emplace_back(id.text);
    return true;
  }
  void Ask(uint64_t count, const std::string& key = "") {
    for (uint64_t i = 0; i < count; ++i) {
      HandlerCall call;
      call.asker = 1;
      call.serial = ++serials;
      call.key = key.empty() ? StrCat("key-", serials) : key;
      call.packed.assign("\xc0\x00\xc0\xa1l", 5);
      call.state = std::string(kNoPackedState);
      pool.Add(std::move(call));
    }
    pool.Work();
  }
  // The oldest batch of the member is answered. How many calls were in it.
  size_t Answer(const std::string& peer) {
    std::string body;
    PackWriter writer(&body);
    writer.Map(1);
    writer.String("id");
    writer.String(batches[peer].front());
    batches[peer].erase(batches[peer].begin());
    pool.Receive(peer, {"MR1", "result", body});
    pool.Work();
    return pool.TakeAnswers().size();
  }
  std::map<std::string, size_t> Out() const {
    std::map<std::string, size_t> out;
    for (const auto& [peer, ids] : batches) {
      if (!ids.empty()) out[peer] = ids.size();
    }
    return out;
  }
  static HandlerStage Threads(CallOrder ordered = CallOrder::kKey) {
    HandlerStage stage;
    stage.mode = HandlerMode::kStateless;
    stage.ordered = ordered;
    stage.lua = std::make_shared<const StageSpec>();
    return stage;
  }

  ManualClock clock;
  HandlerPool pool;
  uint64_t serials = 0;
  std::map<std::string, std::vector<std::string>> batches;  // ids of those that are out

 private:
  static HandlerPool::Options Options(HandlerStage stage) { return {std::move(stage), "w", "life"}; }
};

TEST(PoolBatches, NobodyHasASecondBatchBeforeAllHaveAFirst) {
  Members members(Members::Threads(), 3);
  members.Ask(2 * kFirstBatchCalls);
  EXPECT_THAT(members.Out(), UnorderedElementsAre(testing::Pair("0", 1U), testing::Pair("1", 1U)));
  members.Ask(2 * kFirstBatchCalls);
  EXPECT_THAT(members.Out(),
              UnorderedElementsAre(testing::Pair("0", 2U), testing::Pair("1", 1U), testing::Pair("2", 1U)));
}

TEST(PoolBatches, SlowCallsGoOutOneByOneAndQuickOnesMany) {
  Members members(Members::Threads(), 1);
  members.Ask(2000);
  for (int i = 0; i < 60; ++i) {
    members.clock.Advance(absl::Milliseconds(20));
    members.Answer("0");
  }
  members.Answer("0");
  EXPECT_EQ(members.Answer("0"), 1U);
  for (int i = 0; i < 200 && members.Out().contains("0"); ++i) {
    members.clock.Advance(absl::Microseconds(5));
    members.Answer("0");
    if (members.pool.waiting() < 1000) members.Ask(1000);
  }
  EXPECT_GT(members.Answer("0"), 100U);
}

TEST(PoolBatches, CallsOfOneKeyWithoutStateShareABatch) {
  Members members(Members::Threads(), 2);
  members.Ask(kFirstBatchCalls, "hot");
  EXPECT_THAT(members.Out(), ElementsAre(testing::Pair("0", 1U)));
  EXPECT_EQ(members.Answer("0"), kFirstBatchCalls);
}

TEST(PoolBatches, CallsOfOneKeyAreAtSeveralMembersOnlyWithoutOrder) {
  Members in_order(Members::Threads(), 3);
  in_order.Ask(4 * kFirstBatchCalls, "hot");
  EXPECT_EQ(in_order.Out().size(), 1U);
  Members without(Members::Threads(CallOrder::kNone), 3);
  without.Ask(4 * kFirstBatchCalls, "hot");
  EXPECT_EQ(without.Out().size(), 3U);
}

TEST(PoolBatches, OfHandlersNoMoreAreOutThanTheStageSays) {
  HandlerStage stage;
  stage.mode = HandlerMode::kStateless;
  stage.timeout = absl::Seconds(2);
  stage.concurrency = 2;
  Members members(stage, 3);
  members.Ask(100);
  EXPECT_EQ(members.Out().size(), 2U);
  const std::string first = members.Out().begin()->first;
  members.Answer(first);
  EXPECT_EQ(members.Out().size(), 2U);
}

}  // namespace
}  // namespace millrace
