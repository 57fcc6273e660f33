#include "worker/standby/standby_keeper.h"

#include <gmock/gmock.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "tests/support/metric_value.h"
#include "tests/worker/standby/copies_fixture.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StandbyKeeperTest : public CopiesTest {
 protected:
  StandbyKeeperTest() {
    StandbyKeeper::Options options;
    options.fetched_bytes = metrics_.MakeCounter("standby_bytes_total", "");
    options.on_news = [this] { ++news_; };
    keeper_ = std::make_unique<StandbyKeeper>(*store_, *copy_dir_, resources_, clock_, metrics_, options);
  }
  // Whatever is due is done.
  void Work() {
    keeper_->Step();
    AwaitIdle();
  }
  // The keeper says when it is done to whoever asks, and to nobody else.
  void AwaitIdle() const {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (!keeper_->idle() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
    ASSERT_TRUE(keeper_->idle());
  }

  Metrics metrics_;
  std::atomic<int> news_{0};
  std::unique_ptr<StandbyKeeper> keeper_;
};

TEST_F(StandbyKeeperTest, LooksAtOnceAndThenFromTimeToTime) {
  Checkpoint(10, kRows);
  keeper_->Follow({{key_, CopyUrgency::kStandby}});
  EXPECT_THAT(keeper_->Reports(), IsEmpty()) << "nothing is known yet";
  Work();
  EXPECT_THAT(keeper_->Reports(), ElementsAre(CopyReport{key_.uid, 1, 3, 10}));
  Checkpoint(20, 1);
  Work();
  EXPECT_EQ(OffsetOnDisk(), 10u) << "not due";
  clock_.Advance(kStandbyInterval);
  Work();
  EXPECT_THAT(keeper_->Reports(), ElementsAre(CopyReport{key_.uid, 1, 3, 20}));
  EXPECT_EQ(keeper_->changes(), 0u) << "nobody waits for it";
  EXPECT_NE(metrics_.Text().find("millrace_standby_offset{job=\"delays\",partition=\"3\",segment=\"1\"} 20"),
            std::string::npos)
      << metrics_.Text();
}

TEST_F(StandbyKeeperTest, WhatIsAwaitedIsLookedAtAtOnceAndTold) {
  Checkpoint(10, kRows);
  keeper_->Follow({{key_, CopyUrgency::kStandby}});
  Work();
  Checkpoint(20, 1);
  keeper_->Follow({{key_, CopyUrgency::kAwaited}});
  const uint64_t before = keeper_->changes();
  EXPECT_GT(before, 0u) << "what it has by now is news for who waits";
  Work();
  EXPECT_EQ(OffsetOnDisk(), 20u);
  EXPECT_GT(keeper_->changes(), before);
  EXPECT_EQ(news_, 1);
  Checkpoint(30, 1);
  clock_.Advance(kAwaitedInterval);
  Work();
  EXPECT_EQ(OffsetOnDisk(), 30u);
}

TEST_F(StandbyKeeperTest, WhoOpensThePartitionIsAloneWithItsFolder) {
  Checkpoint(10, kRows);
  absl::Notification fetching, opened;
  std::atomic<bool> first{true};
  store_->on_get = [&](const std::string& name) {
    if (!name.starts_with(layout_.files()) || !first.exchange(false)) return;
    fetching.Notify();
    opened.WaitForNotification();  // the network is slow
  };
  keeper_->Follow({{key_, CopyUrgency::kStandby}});
  keeper_->Step();
  fetching.WaitForNotification();
  keeper_->Follow({});
  keeper_->AwaitFolder(key_);  // does not wait for the network
  {
    const auto db = *PartitionDb::Open(*copy_dir_->PartitionFolder(partition_), resources_);
    Commit(*db, 5, 1);
  }
  opened.Notify();
  AwaitIdle();
  EXPECT_EQ(OffsetOnDisk(), 5u);
  EXPECT_THAT(keeper_->Reports(), IsEmpty());
  EXPECT_FALSE(HasAside());
}

TEST_F(StandbyKeeperTest, AStoreThatIsAwayIsAskedAgain) {
  Checkpoint(10, kRows);
  place_.FailAfter(0);
  keeper_->Follow({{key_, CopyUrgency::kStandby}});
  Work();
  EXPECT_THAT(keeper_->Reports(), IsEmpty());
  place_.Recover();
  clock_.Advance(kStandbyInterval);
  Work();
  EXPECT_EQ(OffsetOnDisk(), 10u);
}

TEST_F(StandbyKeeperTest, StopsInTheMiddleOfAFetch) {
  Checkpoint(10, kRows);
  store_->on_get = [&](const std::string&) { keeper_->BeginStop(); };
  keeper_->Follow({{key_, CopyUrgency::kStandby}});
  Work();
  keeper_->Stop();
  EXPECT_EQ(OffsetOnDisk(), 0u);
}

}  // namespace
}  // namespace millrace
