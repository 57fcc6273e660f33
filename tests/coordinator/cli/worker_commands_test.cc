#include "coordinator/cli/worker_commands.h"

#include "common/cluster/key_view.h"
#include "common/names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WorkerCommandsTest : public testing::Test {
 protected:
  WorkerCommandsTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket}) {
      EXPECT_TRUE(bus_->CreateBucket(bucket).ok());
    }
    lease_.name = "w1";
    lease_.process = "p1";
    lease_.state = "ready";
    lease_.partitions.resize(1);
    Renew();
  }
  void Renew() { ASSERT_TRUE(bus_->PutKey(kWorkersBucket, "w.w1", Encode(lease_)).ok()); }
  absl::Status Drain(DrainVerb verb) { return ApplyDrain(*bus_, clock_, "w1", verb, absl::Seconds(2)); }
  std::vector<std::string> Commands() {
    std::vector<std::string> commands;
    const auto entries = ReadBucket(*bus_, kAssignmentsBucket);
    for (const auto& [key, entry] : *entries) {
      const auto command = DecodeCommand(entry.value);
      if (command.ok()) commands.push_back(key + " " + command->verb + " " + command->process);
    }
    return commands;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  WorkerLease lease_;
};

TEST_F(WorkerCommandsTest, AsksOnceAndSaysWhenNobodyDoesIt) {
  const absl::Status status = Drain(DrainVerb::kDrain);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("it holds 1 partitions"));
  EXPECT_THAT(Commands(), ElementsAre("drain.w1.1 drain p1"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Drain(DrainVerb::kDrain)));
  EXPECT_THAT(Commands(), ElementsAre("drain.w1.1 drain p1"));
}

TEST_F(WorkerCommandsTest, UndoingWhatNobodyHasDoneYetIsAskedForAsWell) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Drain(DrainVerb::kDrain)));
  EXPECT_TRUE(Drain(DrainVerb::kUndo).ok()) << "it serves, and goes on to";
  EXPECT_THAT(Commands(), ElementsAre("drain.w1.1 drain p1", "drain.w1.2 undrain p1"));
}

TEST_F(WorkerCommandsTest, AProcessThatWasStartedAgainIsAskedAnew) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Drain(DrainVerb::kDrain)));
  lease_.process = "p2";
  Renew();
  EXPECT_TRUE(absl::IsDeadlineExceeded(Drain(DrainVerb::kDrain)));
  EXPECT_THAT(Commands(), ElementsAre("drain.w1.1 drain p1", "drain.w1.2 drain p2"));
}

TEST_F(WorkerCommandsTest, IsDoneWhenTheWorkerIsEmptyAndNothingIsAssignedToIt) {
  lease_.state = "draining";
  lease_.partitions.clear();
  Renew();
  Assignment assignment{1, 1, {{"j", "u", false, {"w2", "w1"}}}, {"w1"}};
  ASSERT_TRUE(bus_->CreateKey(kAssignmentsBucket, "assign.1.1", Encode(assignment)).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Drain(DrainVerb::kDrain)));
  assignment.number = 2;
  assignment.jobs[0].owners = {"w2", "w2"};
  ASSERT_TRUE(bus_->CreateKey(kAssignmentsBucket, "assign.1.2", Encode(assignment)).ok());
  EXPECT_TRUE(Drain(DrainVerb::kDrain).ok());
}

TEST_F(WorkerCommandsTest, UndoingWhatWasNotDoneIsDone) { EXPECT_TRUE(Drain(DrainVerb::kUndo).ok()); }

TEST_F(WorkerCommandsTest, AWorkerThatHasStoppedIsRefusedAndOneThatNeverWasIsNotFound) {
  lease_.state = "stopped";
  Renew();
  EXPECT_TRUE(absl::IsFailedPrecondition(Drain(DrainVerb::kDrain)));
  const absl::Status unknown = ApplyDrain(*bus_, clock_, "W1", DrainVerb::kDrain, absl::Seconds(1));
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("did you mean `w1`?"));
}

}  // namespace
}  // namespace millrace
