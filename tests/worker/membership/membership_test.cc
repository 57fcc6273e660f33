#include "worker/membership/membership.h"

#include "common/names.h"
#include "common/strings.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr char kJobText[] = "name: j\nkey: k\npartitions: 2\nstages:\n  - aggregate: { n: count() }\n";

class MembershipTest : public testing::Test {
 protected:
  MembershipTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket}) {
      EXPECT_TRUE(leader_->CreateBucket(bucket).ok());
    }
    JobRecord job;
    job.name = "j";
    job.uid = "u1";
    job.spec_text = kJobText;
    job.partitions = 2;
    for (int i = 0; i < 2; ++i) Put(kJobsBucket, "job.j", Encode(job));
    Put(kAssignmentsBucket, "term.1", Encode(Term{1, "a", 15'000}));
    Put(kAssignmentsBucket, "assign.1.1",
        Encode(Assignment{1, 1, {JobAssignment{"j", "u1", false, {"w1", "w2"}}}}));
  }
  void Put(const std::string& bucket, const std::string& key, const std::string& value) {
    EXPECT_TRUE(leader_->PutKey(bucket, key, value).ok());
  }
  static Membership::Options Named(const std::string& name) {
    Membership::Options options;
    options.name = name;
    return options;
  }
  // At most so many events.
  void Hear(size_t most = 1000) {
    std::vector<BusEvent> events;
    bus_->Poll(absl::ZeroDuration(), most, &events);
    for (const BusEvent& event : events) membership_.Handle(event);
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> leader_ = broker_.Connect();
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  ReportBoard board_;
  Membership membership_{*bus_, clock_, board_, Named("w1")};
};

TEST_F(MembershipTest, TakesWhatTheAssignmentGivesItsName) {
  EXPECT_FALSE(membership_.KnowsDesired());
  Hear();
  EXPECT_TRUE(membership_.KnowsDesired());
  const DesiredPartitions desired = membership_.Desired();
  ASSERT_EQ(desired.size(), 1u);
  EXPECT_EQ(desired.begin()->first.partition, PartitionId(0));
}

TEST_F(MembershipTest, AnAssignmentThatIsReadAnewGivesNothingAwayMeanwhile) {
  Hear();
  ASSERT_TRUE(membership_.KnowsDesired());
  broker_.RollBack(StrCat("KV_", kAssignmentsBucket), 0);
  Put(kAssignmentsBucket, "assign.2.1",
      Encode(Assignment{2, 1, {JobAssignment{"j", "u1", false, {"w1", "w1"}}}}));
  Hear(1);  // the reader's error
  EXPECT_TRUE(membership_.Desired().empty());
  EXPECT_FALSE(membership_.KnowsDesired());
  Hear();
  EXPECT_TRUE(membership_.KnowsDesired());
  EXPECT_EQ(membership_.Desired().size(), 2u);
}

TEST_F(MembershipTest, AJobMayExistUntilEveryRecordWasRead) {
  EXPECT_TRUE(membership_.JobMayExist("u2"));
  Hear();
  EXPECT_FALSE(membership_.JobMayExist("u2"));
  EXPECT_TRUE(membership_.JobMayExist("u1"));
  broker_.RollBack(StrCat("KV_", kJobsBucket), 0);
  Put(kJobsBucket, "other", "no job");
  Hear(1);  // the reader's error
  EXPECT_TRUE(membership_.JobMayExist("u2"));
}

TEST_F(MembershipTest, ItsLeaseEndsByItsOwnClock) {
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(membership_.lease_valid_until(), clock_.Monotonic() + absl::Seconds(15));
  bus_->FailControl(absl::UnavailableError("no server"));
  clock_.Advance(absl::Seconds(10));
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(membership_.lease_valid_until(), clock_.Monotonic() + absl::Seconds(5));
}

TEST_F(MembershipTest, SaysThatItDrainsWhenTheAssignmentSaysSoAndAfterRejoiningToo) {
  const auto said = [this] { return DecodeWorkerLease(leader_->GetKey(kWorkersBucket, "w.w1")->value); };
  Hear();
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(said()->state, "ready");
  const std::string process = said()->process;
  Put(kAssignmentsBucket, "assign.1.2", Encode(Assignment{1, 2, {}, {"w0", "w1"}}));
  Hear();
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(said()->state, "draining") << "at once";
  membership_.BecomeNewIncarnation();
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(said()->state, "draining");
  EXPECT_EQ(said()->process, process);
  EXPECT_NE(said()->incarnation, process);
  Put(kAssignmentsBucket, "assign.1.3", Encode(Assignment{1, 3, {}, {}}));
  Hear();
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(said()->state, "ready");
}

TEST_F(MembershipTest, AProcessThatIsAboutToEndDrainsUntilItIsGone) {
  const auto said = [this] { return DecodeWorkerLease(leader_->GetKey(kWorkersBucket, "w.w1")->value); };
  Hear();
  membership_.BeginLeaving();
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(said()->state, "draining");
  membership_.Leave();
  EXPECT_EQ(said()->state, "stopped");
}

TEST_F(MembershipTest, GivesUpWhenAnotherProcessHasItsName) {
  ASSERT_TRUE(membership_.Step().ok());
  WorkerLease other;
  other.name = "w1";
  other.incarnation = "other";
  other.pid = 7;
  Put(kWorkersBucket, "w.w1", Encode(other));
  clock_.Advance(absl::Seconds(6));
  EXPECT_TRUE(absl::IsFailedPrecondition(membership_.Step()));
}

TEST_F(MembershipTest, AJobThatItCannotRunIsItsAllTheSameWithTheReason) {
  JobRecord later;
  later.name = "j";
  later.uid = "u2";
  later.spec_text = "name: j\nkey: k\nstages:\n  - teleport: now\n";
  later.partitions = 1;
  Put(kJobsBucket, "job.j", Encode(later));
  Put(kAssignmentsBucket, "assign.1.2", Encode(Assignment{1, 2, {JobAssignment{"j", "u2", false, {"w1"}}}}));
  Hear();
  const DesiredPartitions desired = membership_.Desired();
  ASSERT_EQ(desired.size(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(desired.begin()->second.versions.status()));
  EXPECT_NE(desired.begin()->second.versions.status().message().find("teleport"), absl::string_view::npos);
}

class UpdatedMembershipTest : public MembershipTest {
 protected:
  void Update(uint64_t version, const std::string& text, uint32_t step_version = 1) {
    Put(kJobsBucket, CodeKey("u1", version), Encode(CodeVersion{version, text, step_version, 0}));
    Hear();
  }
  absl::StatusOr<SegmentVersions> Versions() {
    const DesiredPartitions desired = membership_.Desired();
    EXPECT_EQ(desired.size(), 1u);
    return desired.begin()->second.versions;
  }
};

TEST_F(UpdatedMembershipTest, LearnsOfEachVersionOfTheCode) {
  Hear();
  EXPECT_EQ(Versions()->size(), 1u);
  const uint64_t revision = membership_.revision();
  Update(1, StrCat(kJobText, "  - filter: r.n > 1\n"));
  Update(2, StrCat(kJobText, "  - filter: r.n > 2\n"));
  EXPECT_NE(membership_.revision(), revision);
  const auto versions = Versions();
  ASSERT_TRUE(versions.ok()) << versions.status();
  ASSERT_EQ(versions->size(), 3u);
  EXPECT_EQ(versions->at(0)->job.stages.size(), 1u);
  EXPECT_EQ(std::get<FilterStage>(versions->at(2)->job.stages.at(1).what).expression, "r.n > 2");
}

TEST_F(UpdatedMembershipTest, AVersionThatItCannotRunIsThePartitionsTrouble) {
  Update(1, "name: j\nkey: k\nstages:\n  - teleport: now\n");
  EXPECT_NE(Versions().status().message().find("version 1 of the job's code: "), absl::string_view::npos)
      << Versions().status();
}

TEST_F(UpdatedMembershipTest, AVersionForALaterEngineIsThePartitionsTrouble) {
  Update(1, kJobText, /*step_version=*/StepVersion() + 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(Versions().status())) << Versions().status();
}

TEST_F(UpdatedMembershipTest, UpdatesHideNoJobThatIsGone) {
  Update(1, kJobText);
  EXPECT_TRUE(membership_.JobMayExist("u1"));
  EXPECT_FALSE(membership_.JobMayExist("u2"));
}

TEST_F(MembershipTest, AJobRecordThatCannotBeReadIsSaid) {
  Put(kJobsBucket, "job.j", "no record");
  Hear();
  const DesiredPartitions desired = membership_.Desired();
  ASSERT_EQ(desired.size(), 1u);
  EXPECT_FALSE(desired.begin()->second.versions.ok());
}

// A worker's lease as it stands in the bucket, renewed.
class RivalTest : public MembershipTest {
 protected:
  RivalTest() {
    rival_.name = "w1";
    rival_.incarnation = "rival";
    rival_.pid = 7;
    rival_.state = "ready";
    rival_.data_id = "rivals-folder";
    Renew();
    Hear();
  }
  void Renew() { Put(kWorkersBucket, "w.w1", Encode(rival_)); }
  std::string HolderIncarnation() {
    return DecodeWorkerLease(leader_->GetKey(kWorkersBucket, "w.w1")->value)->incarnation;
  }
  static Membership::Options WithFolder(const std::string& data_id) {
    Membership::Options options = Named("w1");
    options.data_id = data_id;
    return options;
  }

  WorkerLease rival_;
  Membership newcomer_{*bus_, clock_, board_, WithFolder("another-folder")};
};

TEST_F(RivalTest, ANewcomerGivesUpBesideALivingWorkerOfItsNameAndLeavesItsLeaseAlone) {
  ASSERT_TRUE(newcomer_.Step().ok());
  EXPECT_EQ(newcomer_.lease_valid_until(), absl::ZeroDuration());
  clock_.Advance(absl::Seconds(5));
  Renew();
  const absl::Status refused = newcomer_.Step();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  newcomer_.Leave();
  EXPECT_EQ(HolderIncarnation(), "rival");
}

TEST_F(RivalTest, ANewcomerWithAnotherFolderWaitsUntilTheOldLeaseHasRunOut) {
  for (int second = 0; second <= 15; ++second) {
    ASSERT_TRUE(newcomer_.Step().ok());
    ASSERT_EQ(newcomer_.lease_valid_until(), absl::ZeroDuration()) << second;
    clock_.Advance(absl::Seconds(1));
  }
  ASSERT_TRUE(newcomer_.Step().ok());
  EXPECT_EQ(newcomer_.lease_valid_until(), clock_.Monotonic() + absl::Seconds(15));
  EXPECT_EQ(HolderIncarnation(), newcomer_.incarnation());
}

TEST_F(RivalTest, AWorkerThatWasStartedAgainOnItsFolderGoesOnAtOnce) {
  Membership again(*bus_, clock_, board_, WithFolder("rivals-folder"));
  ASSERT_TRUE(again.Step().ok());
  EXPECT_EQ(HolderIncarnation(), again.incarnation());
}

TEST_F(RivalTest, ANameThatWasGivenBackIsFreeAtOnce) {
  rival_.state = "stopped";
  Renew();
  ASSERT_TRUE(newcomer_.Step().ok());
  EXPECT_EQ(HolderIncarnation(), newcomer_.incarnation());
}

TEST_F(MembershipTest, KnowsWhatToCopyAndWhichOfItsOwnOthersCopy) {
  JobAssignment job{"j", "u1", false, {"w1", "w2"}};
  job.standbys = {"w2", "w1"};
  job.next_owners = {"w3", ""};
  Put(kAssignmentsBucket, "assign.1.2", Encode(Assignment{1, 2, {job}}));
  Hear();
  ASSERT_TRUE(membership_.KnowsDesired());
  const DesiredPartitions desired = membership_.Desired();
  ASSERT_EQ(desired.size(), 1u);
  EXPECT_TRUE(desired.begin()->second.moves);
  const PartitionKey other{"j", "u1", SegmentId(0), PartitionId(1)};
  EXPECT_EQ(membership_.DesiredCopies(), (WantedCopies{{other, CopyUrgency::kStandby}}));
  job.next_owners = {"", "w1"};
  Put(kAssignmentsBucket, "assign.1.3", Encode(Assignment{1, 3, {job}}));
  Hear();
  EXPECT_FALSE(membership_.Desired().begin()->second.moves);
  EXPECT_EQ(membership_.DesiredCopies(), (WantedCopies{{other, CopyUrgency::kAwaited}}));
}

TEST_F(MembershipTest, ACopyThatIsAwaitedIsToldAtOnce) {
  const auto lease = [this] { return *DecodeWorkerLease(leader_->GetKey(kWorkersBucket, "w.w1")->value); };
  Hear();
  ASSERT_TRUE(membership_.Step().ok());
  const CopyReport copy{"u1", 0, 1, 7};
  clock_.Advance(absl::Milliseconds(100));
  membership_.SetCopies({copy}, 0);
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_TRUE(lease().copies.empty()) << "with the next regular renewal";
  membership_.SetCopies({copy}, 1);
  ASSERT_TRUE(membership_.Step().ok());
  EXPECT_EQ(lease().copies, (std::vector<CopyReport>{copy}));
}

}  // namespace
}  // namespace millrace
