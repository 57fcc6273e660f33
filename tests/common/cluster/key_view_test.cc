#include "common/cluster/key_view.h"

#include <functional>

#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
class DisturbedBus final : public Bus {
 public:
  DisturbedBus(Bus& bus, std::function<void()> after_asking)
      : bus_(bus), after_asking_(std::move(after_asking)) {}

  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override {
    auto info = bus_.GetStream(name);
    after_asking_();
    return info;
  }
  ReaderId OpenReader(const ReaderOptions& options) override { return bus_.OpenReader(options); }
  void CloseReader(ReaderId reader) override { bus_.CloseReader(reader); }
  void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) override {
    bus_.Grant(reader, messages, bytes);
  }
  size_t Poll(absl::Duration wait, size_t /*max_events*/, std::vector<BusEvent>* events) override {
    return bus_.Poll(wait, 1, events);
  }

  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& c) override { return bus_.CreateStream(c); }
  absl::Status DeleteStream(const std::string& name) override { return bus_.DeleteStream(name); }
  absl::StatusOr<std::vector<std::string>> ListStreams() override { return bus_.ListStreams(); }
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) override {
    return bus_.GetMessage(stream, sequence);
  }
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) override {
    return bus_.GetLastMessage(stream, subject);
  }
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& r) override { return bus_.AppendAndWait(r); }
  absl::Status CreateBucket(const std::string& bucket, int replicas) override {
    return bus_.CreateBucket(bucket, replicas);
  }
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override {
    return bus_.CreateKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                  std::string_view value) override {
    return bus_.PutKey(bucket, key, value);
  }
  absl::StatusOr<KeyValue> GetKey(const std::string& bucket, const std::string& key) override {
    return bus_.GetKey(bucket, key);
  }
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override {
    return bus_.DeleteKey(bucket, key);
  }
  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout) override {
    return bus_.Request(subject, payload, timeout);
  }
  absl::Status Serve(const std::string& subject, std::function<void(Incoming)> handler) override {
    return bus_.Serve(subject, std::move(handler));
  }
  absl::Status Reply(const std::string& to, std::string_view payload) override {
    return bus_.Reply(to, payload);
  }
  absl::StatusOr<ServerInfo> Server() override { return bus_.Server(); }
  absl::Status Append(const AppendRequest& request) override { return bus_.Append(request); }
  void Flush() override { bus_.Flush(); }
  void Wake() override { bus_.Wake(); }

 private:
  Bus& bus_;
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
