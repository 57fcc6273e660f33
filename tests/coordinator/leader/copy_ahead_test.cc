#include "coordinator/leader/copy_ahead.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using ::testing::ElementsAre;

TEST(CopyAhead, AMoveWaitsForTheCopyWhereThatSpareItAStandstill) {
  PartitionReport asked, stored;
  asked.state = stored.state = "running";
  asked.checkpoint_offset = 90;
  stored.checkpoint_offset = 100;
  stored.stored_for_move = true;
  const absl::Duration soon = absl::Seconds(1);
  PartitionReport paused = stored, completed = stored, stopped = stored;
  paused.state = "paused";
  completed.state = "completed";
  stopped.state = "stopped";
  const struct {
    const char* what;
    MoveFacts facts;
    bool waits;
  } cases[] = {
      {"the owner has not stored it yet", {&asked, true, true, 95, soon}, true},
      {"nothing is copied yet", {&stored, true, true, std::nullopt, soon}, true},
      {"an older checkpoint is copied", {&stored, true, true, 99, soon}, true},
      {"that checkpoint is copied", {&stored, true, true, 100, soon}, false},
      {"a later one is copied", {&stored, true, true, 130, soon}, false},
      {"it has taken too long", {&stored, true, true, 99, kCopyAheadLimit}, false},
      {"the owner is gone", {nullptr, true, true, std::nullopt, soon}, false},
      {"the owner has no store", {&asked, false, true, std::nullopt, soon}, false},
      {"the next owner has no store", {&asked, true, false, std::nullopt, soon}, false},
      {"it is paused", {&paused, true, true, std::nullopt, soon}, false},
      {"it is done", {&completed, true, true, std::nullopt, soon}, false},
      {"it stands still already", {&stopped, true, true, std::nullopt, soon}, false},
  };
  for (const auto& c : cases) EXPECT_EQ(WaitsForCopy(c.facts), c.waits) << c.what;
}

TEST(CopyAhead, APartitionThatHasTakenNothingHasNothingToCopy) {
  PartitionReport empty;
  empty.state = "running";
  empty.stored_for_move = true;
  EXPECT_FALSE(WaitsForCopy({&empty, true, true, 0, absl::ZeroDuration()}));
}

TEST(CopyAhead, APlanBeginsWithTheMovesThatAreUnderWay) {
  JobAssignment job{"j", "u", false, {"w1", "w1", "w1", "w1"}};
  job.next_owners = {"w2", "", "lost", "drains"};
  const std::vector<PlanWorker> workers = {
      {"drains", "", true, 1, true}, {"w1", "", true, 1, true}, {"w2", "", false, 1, true}};
  const Owners last = {{"u", {"w1", "w1", "w1", "w1"}}, {"other", {"w1"}}};
  const Owners begun = AsIfMoved(last, {job}, workers);
  EXPECT_THAT(begun.at("u"), ElementsAre("w2", "w1", "w1", "w1"));
  EXPECT_THAT(begun.at("other"), ElementsAre("w1"));
  EXPECT_EQ(CountCopies({job}), 3u);
}

TEST(CopyAhead, TimeCountsFromTheFirstOrderToTheSameWorker) {
  JobAssignment job{"j", "u", false, {"w1"}};
  job.next_owners = {"w2"};
  CopyClock clock;
  EXPECT_EQ(clock.Waited("u", 0, "w2", absl::Seconds(10)), absl::ZeroDuration());
  clock.Keep({job});
  EXPECT_EQ(clock.Waited("u", 0, "w2", absl::Seconds(13)), absl::Seconds(3));
  EXPECT_EQ(clock.Waited("u", 0, "w3", absl::Seconds(14)), absl::ZeroDuration());
  job.next_owners.clear();
  clock.Keep({job});
  EXPECT_EQ(clock.Waited("u", 0, "w3", absl::Seconds(20)), absl::ZeroDuration());
}

}  // namespace
}  // namespace millrace
