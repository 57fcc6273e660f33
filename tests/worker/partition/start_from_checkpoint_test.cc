// How a partition begins where its worker has no state: from the newest good checkpoint, from its whole log,
// or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "common/checkpoint/catalog.h"
#include "common/hash/sha256.h"
#include "common/strings.h"
#include "tests/worker/partition/partition_harness.h"
#include "worker/partition/state_source.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// So long that checkpoints are made when a test lets it pass, and not before.
constexpr absl::Duration kInterval = absl::Hours(1);

struct CheckpointWorld {
  CheckpointWorld() { world_.checkpoint_interval = kInterval; }

  // One record of key "k" a frame, with the values from, from + 1, ..
  void Feed(int64_t from, int64_t count) {
    for (int64_t value = from; value < from + count; ++value) world_.Feed({{"k", value}});
  }
  // An owner in folder `data` applies all that was fed, and a checkpoint of all of it is stored.
  void RunAndCheckpoint(const std::string& data) {
    PartitionOwner owner(world_, data);
    ASSERT_TRUE(owner.opened().ok()) << owner.opened();
    const uint64_t end = world_.feeder->GetStream(world_.key.input_stream())->last_sequence;
    for (int i = 0; i < 100'000 && owner.partition().Report().committed_offset < end; ++i)
      owner.Step(random_);
    world_.clock.Advance(kInterval);
    for (int i = 0; i < 100'000 && owner.partition().Report().checkpoint_offset < end; ++i)
      owner.Step(random_);
    ASSERT_EQ(owner.partition().Report().checkpoint_offset, end);
  }
  std::vector<std::string> Manifests() { return world_.checkpoints.Names(layout_.manifests()); }
  // Runs what is left with a new worker; all results must be there, once.
  void ExpectRunsToTheEnd(PartitionOwner& owner, int64_t records) {
    world_.FeedEnd();
    ASSERT_TRUE(owner.RunToEnd(random_));
    const std::vector<Output> results = world_.Results();
    ASSERT_EQ(results.size(), static_cast<size_t>(records));
    int64_t sum = 0;
    for (int64_t i = 0; i < records; ++i) {
      sum += i + 1;
      EXPECT_EQ(results[static_cast<size_t>(i)].value_json,
                StrCat(R"({"n":)", i + 1, R"(,"sum":)", sum, "}"));
    }
  }

  PartitionWorld world_;
  std::mt19937_64 random_{7};
  const CheckpointLayout layout_{world_.key.uid, world_.key.segment, world_.key.partition};
};

// As if the owner had read a damaged file from its disk, and put that: all checksums of ours are right.
void DamageBeforeItWasPut(MemoryBlobPlace& place, const CheckpointLayout& layout, const std::string& name) {
  place.FlipBit(name, 20);
  const std::unique_ptr<BlobStore> store = place.Open();
  const CheckpointId newest = *layout.ParseManifest(place.Names(layout.manifests()).back());
  CheckpointManifest manifest = *ReadManifest(*store, layout, newest);
  for (CheckpointFile& file : manifest.files) {
    if (layout.files() + file.object != name) continue;
    file.sha256 = Hex(Sha256Of(*ReadBlob(*store, name, file.bytes)));
  }
  ASSERT_TRUE(store->Put(layout.Manifest(newest), EncodeManifest(manifest)).ok());
}

class StartFromCheckpointTest : public testing::Test, protected CheckpointWorld {};

TEST_F(StartFromCheckpointTest, AnotherWorkerGoesOnWhereTheCheckpointEnds) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  Feed(11, 5);
  PartitionOwner heir(world_, "w2");
  ASSERT_TRUE(heir.opened().ok()) << heir.opened();
  EXPECT_EQ(heir.partition().offset(), Offset(10));
  EXPECT_EQ(heir.partition().Report().checkpoint_offset, 10u);
  ExpectRunsToTheEnd(heir, 15);
}

TEST_F(StartFromCheckpointTest, ALogThatWasPurgedIsNotNeeded) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  world_.broker.Purge(world_.key.input_stream(), 10);
  Feed(11, 5);
  PartitionOwner heir(world_, "w2");
  ASSERT_TRUE(heir.opened().ok()) << heir.opened();
  ExpectRunsToTheEnd(heir, 15);
}

TEST_F(StartFromCheckpointTest, StateHereThatTheLogNoLongerLeadsOnFromIsReplaced) {
  Feed(1, 4);
  RunAndCheckpoint("w1");
  Feed(5, 6);
  RunAndCheckpoint("w2");
  world_.broker.Purge(world_.key.input_stream(), 8);
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  EXPECT_EQ(owner.partition().offset(), Offset(10));
  ExpectRunsToTheEnd(owner, 10);
}

TEST_F(StartFromCheckpointTest, NewerStateHereIsUsed) {
  Feed(1, 5);
  RunAndCheckpoint("w1");
  Feed(6, 5);
  {
    PartitionOwner owner(world_, "w1");
    ASSERT_TRUE(owner.opened().ok());
    while (owner.partition().Report().committed_offset < 10) owner.Step(random_);
  }
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok());
  EXPECT_EQ(owner.partition().offset(), Offset(10));
  ExpectRunsToTheEnd(owner, 10);
}

TEST_F(StartFromCheckpointTest, DamagedStateHereIsReplaced) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  const std::filesystem::path db = world_.folder / "w1" / world_.key.uid / "0-0";
  std::filesystem::remove(db / "CURRENT");
  world_.broker.Purge(world_.key.input_stream(), 10);
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  EXPECT_EQ(owner.partition().offset(), Offset(10));
  ExpectRunsToTheEnd(owner, 10);
}

// Every way in which the newest can be bad leads to the one before.
TEST_F(StartFromCheckpointTest, ABadOneIsPassedOver) {
  struct Case {
    const char* name;
    std::function<void(MemoryBlobPlace&, const CheckpointLayout&)> spoil;
  };
  const auto last_file = [](MemoryBlobPlace& place, const CheckpointLayout& layout, std::string_view suffix) {
    std::string last;
    for (const std::string& name : place.Names(layout.files())) {
      if (name.ends_with(suffix)) last = name;
    }
    return last;
  };
  const std::vector<Case> cases = {
      {"a flipped bit in a table",
       [&](auto& place, auto& layout) { place.FlipBit(last_file(place, layout, ".sst"), 900); }},
      {"a flipped bit in CURRENT",
       [&](auto& place, auto& layout) { place.FlipBit(last_file(place, layout, "CURRENT"), 3); }},
      {"a table that is gone",
       [&](auto& place, auto& layout) { place.Remove(last_file(place, layout, ".sst")); }},
      {"a table that is cut",
       [&](auto& place, auto& layout) { place.Cut(last_file(place, layout, ".sst"), 40); }},
      {"a table that its owner's disk had damaged",
       [&](auto& place, auto& layout) {
         DamageBeforeItWasPut(place, layout, last_file(place, layout, ".sst"));
       }},
      {"an empty table", [&](auto& place, auto& layout) { place.Cut(last_file(place, layout, ".sst"), 0); }},
      {"a flipped bit in the manifest",
       [](auto& place, auto& layout) { place.FlipBit(place.Names(layout.manifests()).back(), 50); }},
      {"a manifest that is cut",
       [](auto& place, auto& layout) { place.Cut(place.Names(layout.manifests()).back(), 100); }},
      {"a manifest that is gone",
       [](auto& place, auto& layout) { place.Remove(place.Names(layout.manifests()).back()); }},
      {"a manifest under another's name",
       [](auto& place, auto& layout) {
         place.Rename(place.Names(layout.manifests()).back(), layout.Manifest({Epoch(9), Offset(10)}));
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CheckpointWorld other;
    PartitionWorld& world = other.world_;
    other.Feed(1, 4);
    other.RunAndCheckpoint("w1");
    other.Feed(5, 6);
    other.RunAndCheckpoint("w1");
    ASSERT_EQ(other.Manifests().size(), 2u);
    c.spoil(world.checkpoints, layout_);
    world.broker.Purge(world.key.input_stream(), 4);  // so that nothing but the older one helps
    PartitionOwner heir(world, "w2");
    ASSERT_TRUE(heir.opened().ok()) << heir.opened();
    EXPECT_EQ(heir.partition().offset(), Offset(4));
    other.ExpectRunsToTheEnd(heir, 10);
  }
}

TEST_F(StartFromCheckpointTest, WithoutAGoodOneTheWholeLogIsRun) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  world_.checkpoints.FlipBit(Manifests().back(), 50);
  PartitionOwner heir(world_, "w2");
  ASSERT_TRUE(heir.opened().ok()) << heir.opened();
  EXPECT_EQ(heir.partition().offset(), Offset(0));
  ExpectRunsToTheEnd(heir, 10);
}

TEST_F(StartFromCheckpointTest, WithoutAGoodOneAndWithoutTheLogItStopsLoudly) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  world_.checkpoints.FlipBit(Manifests().back(), 50);
  world_.broker.Purge(world_.key.input_stream(), 1);
  PartitionOwner heir(world_, "w2");
  ASSERT_TRUE(absl::IsDataLoss(heir.opened())) << heir.opened();
  EXPECT_THAT(heir.opened().ToString(), HasSubstr("begins at 2"));
  EXPECT_THAT(heir.opened().ToString(), HasSubstr("none of 1 checkpoints"));
}

TEST_F(StartFromCheckpointTest, ACheckpointOfAnotherStreamStopsItLoudly) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  const auto info = world_.feeder->GetStream(world_.key.input_stream());
  ASSERT_TRUE(world_.feeder->DeleteStream(world_.key.input_stream()).ok());
  ASSERT_TRUE(world_.feeder->CreateStream(info->config).ok());
  Feed(1, 12);
  PartitionOwner heir(world_, "w2");
  ASSERT_TRUE(absl::IsDataLoss(heir.opened())) << heir.opened();
  EXPECT_THAT(heir.opened().ToString(), HasSubstr("made anew"));
}

TEST_F(StartFromCheckpointTest, AStoreThatDoesNotAnswerIsWaitedForAndThenDoneWithout) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  world_.checkpoints.FailAfter(0);
  EXPECT_TRUE(absl::IsUnavailable(PartitionOwner(world_, "w2").opened()));
  {
    PartitionOwner own_state(world_, "w1");
    ASSERT_TRUE(own_state.opened().ok()) << own_state.opened();
    EXPECT_EQ(own_state.partition().offset(), Offset(10));
  }
  PartitionOwner patient(world_, "w3", kMaxStoreFailures);
  ASSERT_TRUE(patient.opened().ok()) << patient.opened();
  EXPECT_EQ(patient.partition().offset(), Offset(0));
  world_.broker.Purge(world_.key.input_stream(), 5);
  EXPECT_TRUE(absl::IsUnavailable(PartitionOwner(world_, "w4", kMaxStoreFailures).opened()));
}

TEST_F(StartFromCheckpointTest, AStoreThatBreaksOffInTheMiddleLeavesNothingHalf) {
  Feed(1, 10);
  RunAndCheckpoint("w1");
  for (size_t calls = 1;; ++calls) {
    world_.checkpoints.FailAfter(calls);
    PartitionOwner heir(world_, "w2");
    world_.checkpoints.Recover();
    if (heir.opened().ok()) {
      EXPECT_GT(calls, 3u);
      EXPECT_EQ(heir.partition().offset(), Offset(10));
      return;
    }
    ASSERT_TRUE(absl::IsUnavailable(heir.opened())) << heir.opened();
  }
}

TEST_F(StartFromCheckpointTest, IsStoredOneAtATimeAndHoldsUpTheReleaseWhileItIsLinkedOnly) {
  Feed(1, 10);
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok());
  while (owner.partition().Report().committed_offset < 10) {
    if (owner.DeliverOne()) continue;
    owner.Work();
    owner.WriteCommit();
    owner.AnswerCommit();
    owner.Tick();
  }
  world_.clock.Advance(kInterval);
  owner.Tick();  // asks for the link
  owner.partition().BeginRelease();
  owner.Tick();
  EXPECT_FALSE(owner.partition().released());
  ASSERT_TRUE(owner.LinkCheckpoint());
  EXPECT_TRUE(owner.partition().released());
  EXPECT_TRUE(Manifests().empty());
  ASSERT_TRUE(owner.StoreCheckpoint());
  EXPECT_EQ(Manifests().size(), 1u);
}

}  // namespace
}  // namespace millrace
