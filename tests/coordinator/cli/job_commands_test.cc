#include "coordinator/cli/job_commands.h"

#include <algorithm>

#include "common/cluster/key_view.h"
#include "common/names.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kJobUid[] = "00000000000000aa";

// Notes which keys are deleted, in which order.
class DeletionLog : public ForwardingBus {
 public:
  using ForwardingBus::ForwardingBus;
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override {
    keys_.push_back(key);
    return ForwardingBus::DeleteKey(bucket, key);
  }
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  std::vector<std::string> keys_;
};

// A job whose leader is played by the test: what it would write, it writes while the command waits.
class JobCommandsTest : public testing::Test {
 protected:
  JobCommandsTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(bus_->CreateBucket(bucket).ok());
    }
    job_.name = "a";
    job_.uid = kJobUid;
    job_.partitions = 1;
    Put(kJobsBucket, "job.a", Encode(job_));
    Assign(/*number=*/1, {JobAssignment{"a", kJobUid, false, {"w1"}}});
  }
  void Put(const std::string& bucket, const std::string& key, const std::string& value) {
    EXPECT_TRUE(bus_->PutKey(bucket, key, value).ok());
  }
  void Assign(uint64_t number, std::vector<JobAssignment> jobs) {
    Put(kAssignmentsBucket, StrCat("assign.1.", number), Encode(Assignment{1, number, std::move(jobs)}));
  }
  void End(const std::string& state) {
    FinalStatus final_status;
    final_status.state = state;
    Put(kAssignmentsBucket, StrCat("final.", kJobUid), Encode(final_status));
  }
  absl::Status Apply(JobVerb verb, std::function<absl::Status()> keep_waiting) {
    return ApplyVerb(*bus_, clock_, "a", verb, {absl::Seconds(5), std::move(keep_waiting)});
  }
  std::vector<std::string> Keys(const std::string& bucket) {
    std::vector<std::string> keys;
    KeyView view(*bus_, bucket);
    std::vector<BusEvent> events;
    bus_->Poll(absl::ZeroDuration(), 1000, &events);
    for (const BusEvent& event : events) view.Handle(event);
    for (const auto& [key, entry] : view.entries()) keys.push_back(key);
    return keys;
  }
  std::vector<Command> Commands() {
    std::vector<Command> commands;
    for (const std::string& key : Keys(kAssignmentsBucket)) {
      if (!key.starts_with("cmd.")) continue;
      commands.push_back(*DecodeCommand(bus_->GetKey(kAssignmentsBucket, key)->value));
    }
    return commands;
  }
  void MakeStream(const std::string& name, const std::string& uid) {
    StreamConfig config;
    config.name = name;
    config.subjects = {name};
    config.description = StreamDescription(uid);
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  std::vector<std::string> Streams() {
    std::vector<std::string> names = *bus_->ListStreams();
    std::erase_if(names, [](const std::string& name) { return name.starts_with("KV_"); });
    return names;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  JobRecord job_;
};

TEST_F(JobCommandsTest, AsksOnceAndWaitsForWhatTheLeaderMakesOfIt) {
  int looks = 0;
  const absl::Status paused = Apply(JobVerb::kPause, [&] {
    if (++looks == 3) Assign(2, {JobAssignment{"a", kJobUid, true, {"w1"}}});
    return absl::OkStatus();
  });
  EXPECT_TRUE(paused.ok()) << paused;
  ASSERT_EQ(Commands().size(), 1u);
  EXPECT_EQ(Commands()[0].verb, "pause");
}

TEST_F(JobCommandsTest, AsksNothingWhereItHoldsAlready) {
  EXPECT_TRUE(Apply(JobVerb::kResume, [] { return absl::InternalError("waits"); }).ok());
  EXPECT_THAT(Commands(), IsEmpty());
}

TEST_F(JobCommandsTest, AsksAnewWhereAnOppositeCommandIsNotDoneYet) {
  Put(kAssignmentsBucket, StrCat("cmd.", kJobUid, ".1"), Encode(Command{"pause", "other"}));
  EXPECT_TRUE(Apply(JobVerb::kResume, [] { return absl::OkStatus(); }).ok());
  ASSERT_EQ(Commands().size(), 2u);
  EXPECT_EQ(Commands()[1].verb, "resume");
}

TEST_F(JobCommandsTest, WaitsForWhatAnotherHasAskedFor) {
  Put(kAssignmentsBucket, StrCat("cmd.", kJobUid, ".1"), Encode(Command{"pause", "other"}));
  const absl::Status paused = Apply(JobVerb::kPause, [&] {
    Assign(2, {JobAssignment{"a", kJobUid, true, {"w1"}}});
    return absl::OkStatus();
  });
  EXPECT_TRUE(paused.ok()) << paused;
  EXPECT_EQ(Commands().size(), 1u);
}

TEST_F(JobCommandsTest, TakesTheNextNumberWhenAnotherTookOneFirst) {
  Put(kAssignmentsBucket, StrCat("cmd.", kJobUid, ".1"), Encode(Command{"resume", "other"}));
  EXPECT_TRUE(absl::IsCancelled(Apply(JobVerb::kCancel, [] { return absl::CancelledError("interrupted"); })));
  ASSERT_EQ(Commands().size(), 2u);
  EXPECT_EQ(Commands()[1].verb, "cancel");
}

TEST_F(JobCommandsTest, TheRequestStandsWhenNoCoordinatorAppliesItInTime) {
  const absl::Status late = Apply(JobVerb::kCancel, [] { return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_THAT(ToStd(late.message()), HasSubstr("coordinator serve"));
  EXPECT_EQ(Commands().size(), 1u);
}

TEST_F(JobCommandsTest, AFinalJobCanOnlyBeCancelledWhenItWas) {
  const auto go_on = [] { return absl::OkStatus(); };
  End("completed");
  EXPECT_TRUE(absl::IsFailedPrecondition(Apply(JobVerb::kPause, go_on)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Apply(JobVerb::kCancel, go_on)));
  End("cancelled");
  EXPECT_TRUE(Apply(JobVerb::kCancel, go_on).ok());
  EXPECT_THAT(Commands(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(ApplyVerb(*bus_, clock_, "b", JobVerb::kPause, {absl::Seconds(1), go_on})));
}

TEST_F(JobCommandsTest, WaitsUntilNoLivingWorkerReportsTheJob) {
  WorkerLease lease;
  lease.name = "w1";
  lease.state = "ready";
  lease.partitions.resize(1);
  lease.partitions[0].uid = kJobUid;
  Put(kWorkersBucket, "w.w1", Encode(lease));
  Assign(2, {});
  int looks = 0;
  const auto let_go = [&] {
    if (++looks == 2) {
      lease.partitions.clear();
      Put(kWorkersBucket, "w.w1", Encode(lease));
    }
    return absl::OkStatus();
  };
  EXPECT_TRUE(WaitUntilLetGo(*bus_, clock_, job_, {absl::Seconds(5), let_go}).ok());
  EXPECT_EQ(looks, 2);
  lease.partitions.resize(1);
  lease.partitions[0].uid = kJobUid;
  Put(kWorkersBucket, "w.w1", Encode(lease));
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      WaitUntilLetGo(*bus_, clock_, job_, {absl::Seconds(1), [] { return absl::OkStatus(); }})));
}

TEST_F(JobCommandsTest, DeletesWhatCarriesItsUidAndNothingElse) {
  End("cancelled");
  MakeStream("mr-a-0-0", kJobUid);
  MakeStream("mr-a-b-0-0", "00000000000000bb");  // of a job `a-b`
  MakeStream("mr-a-out-0", "00000000000000cc");  // somebody's, under our name
  Put(kEpochsBucket, StrCat(kJobUid, ".in.1"), "me");
  Put(kEpochsBucket, "00000000000000bb.in.1", "other");
  Put(kAssignmentsBucket, StrCat("cmd.", kJobUid, ".1"), Encode(Command{"cancel", "me"}));
  Put(kJobsBucket, CodeKey(kJobUid, 1), Encode(CodeVersion{1, "", 1, 0}));
  ASSERT_TRUE(DeleteJob(*bus_, job_).ok());
  EXPECT_THAT(Streams(), ElementsAre("mr-a-b-0-0", "mr-a-out-0"));
  EXPECT_THAT(Keys(kEpochsBucket), ElementsAre("00000000000000bb.in.1"));
  EXPECT_THAT(Keys(kAssignmentsBucket), ElementsAre("assign.1.1"));
  EXPECT_THAT(Keys(kJobsBucket), IsEmpty());
  EXPECT_TRUE(DeleteJob(*bus_, job_).ok()) << "again, as after a kill";
}

TEST_F(JobCommandsTest, DeletesHowAJobEndedWhoseDeleteWasKilledBehindItsRecord) {
  End("cancelled");
  JobRecord other = job_;
  other.name = "b";
  other.uid = "00000000000000bb";
  Put(kJobsBucket, "job.b", Encode(other));
  Put(kAssignmentsBucket, StrCat("final.", other.uid), Encode(FinalStatus{}));
  Put(kAssignmentsBucket, "final.00000000000000cc", Encode(FinalStatus{}));  // its record is gone
  Put(kAssignmentsBucket, SinkDoneKey("00000000000000cc"), Encode(SinkReport{}));
  Put(kAssignmentsBucket, SinkDoneKey(other.uid), Encode(SinkReport{}));
  Put(kEpochsBucket, SinkPlaceKey("00000000000000cc"), "");
  ASSERT_TRUE(DeleteJob(*bus_, job_).ok());
  EXPECT_THAT(Keys(kAssignmentsBucket),
              ElementsAre("assign.1.1", "final.00000000000000bb", "sink.00000000000000bb.done"));
  EXPECT_THAT(Keys(kEpochsBucket), IsEmpty());
}

// A leader sees the keys go one after the other.
TEST_F(JobCommandsTest, UntilItsRecordIsGoneADeletedJobIsOneThatHasEndedAndWhoseResultsAreOut) {
  End("completed");
  for (const std::string& key : {SinkKey(kJobUid), SinkDoneKey(kJobUid)}) {
    Put(kAssignmentsBucket, key, Encode(SinkReport{}));
  }
  Put(kEpochsBucket, SinkPlaceKey(kJobUid), "");
  DeletionLog deletions(*bus_);
  ASSERT_TRUE(DeleteJob(deletions, job_).ok());
  const std::vector<std::string>& keys = deletions.keys();
  const auto record = std::find(keys.begin(), keys.end(), JobKey("a"));
  ASSERT_NE(record, keys.end());
  EXPECT_THAT(std::vector<std::string>(record + 1, keys.end()),
              ElementsAre(SinkPlaceKey(kJobUid), FinalKey(kJobUid), SinkKey(kJobUid), SinkDoneKey(kJobUid)));
}

}  // namespace
}  // namespace millrace
