#include "common/cluster/key_view.h"

#include <functional>

#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;

constexpr char kBucket[] = "b";
constexpr char kBucketStream[] = "KV_b";

class KeyViewTest : public testing::Test {
 protected:
  KeyViewTest() { EXPECT_TRUE(writer_->CreateBucket(kBucket).ok()); }

  void Put(const std::string& key, const std::string& value) {
    EXPECT_TRUE(writer_->PutKey(kBucket, key, value).ok());
  }
  // At most so many events.
  static void Feed(KeyView& view, Bus& bus, size_t events = 1000) {
    std::vector<BusEvent> polled;
    bus.Poll(absl::ZeroDuration(), events, &polled);
    for (const BusEvent& event : polled) view.Handle(event);
  }
  static std::vector<std::string> Shown(const std::map<std::string, KeyValue, std::less<>>& entries) {
    std::vector<std::string> shown;
    for (const auto& [key, entry] : entries) shown.push_back(StrCat(key, "=", entry.value));
    return shown;
  }
  static bool IsWhole(CatchUp& progress, Bus& bus, const KeyView& view) {
    const absl::StatusOr<bool> whole = progress.IsWhole(bus, view);
    EXPECT_TRUE(whole.ok()) << whole.status();
    return whole.ok() && *whole;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> writer_ = broker_.Connect();
  std::unique_ptr<MemoryBus> reader_ = broker_.Connect();
};

// A link that brings one event at a time, and on which something happens each time that the bucket's end was
// asked for.
class DisturbedBus final : public ForwardingBus {
 public:
  DisturbedBus(Bus& bus, std::function<void()> after_asking)
      : ForwardingBus(bus), after_asking_(std::move(after_asking)) {}

  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override {
    auto info = ForwardingBus::GetStream(name);
    after_asking_();
    return info;
  }
  size_t Poll(absl::Duration wait, size_t /*max_events*/, std::vector<BusEvent>* events) override {
    return ForwardingBus::Poll(wait, 1, events);
  }

 private:
  const std::function<void()> after_asking_;
};

TEST_F(KeyViewTest, HoldsTheNewestValueOfEachKeyAndNoDeletedOne) {
  Put("a", "1");
  Put("b", "1");
  KeyView view(*reader_, kBucket);
  Put("a", "2");
  EXPECT_TRUE(writer_->DeleteKey(kBucket, "b").ok());
  Feed(view, *reader_);
  EXPECT_THAT(Shown(view.entries()), ElementsAre("a=2"));
  EXPECT_EQ(view.Find("b"), nullptr);
  EXPECT_EQ(view.revision(), 4u);
}

TEST_F(KeyViewTest, BeginsAnewWhenTheBucketWasRolledBack) {
  Put("a", "1");
  Put("b", "1");
  KeyView view(*reader_, kBucket);
  Feed(view, *reader_);
  broker_.RollBack(kBucketStream, 1);
  Feed(view, *reader_);
  EXPECT_EQ(view.beginnings(), 2u);
  Feed(view, *reader_);
  EXPECT_THAT(Shown(view.entries()), ElementsAre("a=1"));
}

TEST_F(KeyViewTest, AKeyRenewedBehindTheKnownEndIsAwaited) {
  Put("w1", "1");
  Put("w2", "1");
  KeyView view(*reader_, kBucket);
  CatchUp progress;
  EXPECT_FALSE(IsWhole(progress, *reader_, view));  // the end is at 2
  Put("w2", "2");                                   // 3
  Put("w1", "2");                                   // 4: revision 1 is gone
  Feed(view, *reader_, 1);
  ASSERT_EQ(view.revision(), 3u);
  EXPECT_THAT(Shown(view.entries()), ElementsAre("w2=2"));
  EXPECT_FALSE(IsWhole(progress, *reader_, view));
  Feed(view, *reader_);
  EXPECT_TRUE(IsWhole(progress, *reader_, view));
  EXPECT_THAT(Shown(view.entries()), ElementsAre("w1=2", "w2=2"));
}

TEST_F(KeyViewTest, AViewThatBeganAnewIsNotWholeThoughItCameAsFarAsBefore) {
  Put("w1", "1");
  Put("w2", "1");
  KeyView view(*reader_, kBucket);
  CatchUp progress;
  Feed(view, *reader_);
  EXPECT_TRUE(IsWhole(progress, *reader_, view));
  broker_.RollBack(kBucketStream, 1);
  Feed(view, *reader_);  // the error
  Put("w1", "2");        // 2
  Put("w2", "2");        // 3
  Feed(view, *reader_, 1);
  ASSERT_EQ(view.revision(), 2u);
  EXPECT_FALSE(IsWhole(progress, *reader_, view));
  Feed(view, *reader_);
  EXPECT_TRUE(IsWhole(progress, *reader_, view));
}

TEST_F(KeyViewTest, ABucketWithoutAMessageIsWhole) {
  KeyView view(*reader_, kBucket);
  CatchUp progress;
  EXPECT_TRUE(IsWhole(progress, *reader_, view));
  Put("a", "1");
  broker_.Purge(kBucketStream, 1);
  KeyView later(*reader_, kBucket);
  CatchUp again;
  EXPECT_TRUE(IsWhole(again, *reader_, later));
}

TEST_F(KeyViewTest, ReadBucketGivesEveryKeyThoughAllAreRenewedWhileItReads) {
  for (const char* key : {"w1", "w2", "w3"}) Put(key, "0");
  int renewals = 0;
  DisturbedBus disturbed(*reader_, [&] {
    if (++renewals > 4) return;
    for (const char* key : {"w3", "w2", "w1"}) Put(key, StrCat(renewals));
  });
  const auto entries = ReadBucket(disturbed, kBucket);
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_THAT(Shown(*entries), ElementsAre("w1=4", "w2=4", "w3=4"));
}

TEST_F(KeyViewTest, ReadBucketSaysThatThereIsNoSuchBucket) {
  EXPECT_TRUE(absl::IsNotFound(ReadBucket(*reader_, "none").status()));
}

}  // namespace
}  // namespace millrace
