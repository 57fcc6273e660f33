#include "coordinator/ingest/job_creation.h"

#include <thread>

#include "common/cluster/table_store.h"
#include "common/code/code_files.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;

constexpr char kJobText[] = "name: j\nkey: k\npartitions: 2\nstages:\n  - aggregate: { n: count() }\n";
constexpr char kFirstUid[] = "0000000000000001";
constexpr char kSecondUid[] = "0000000000000002";

class JobCreationTest : public testing::Test {
 protected:
  absl::StatusOr<JobRecord> Ensure(const std::string& uid) {
    const std::unique_ptr<MemoryBus> bus = broker_.Connect();
    return Ensure(*bus, uid);
  }
  absl::StatusOr<JobRecord> Ensure(Bus& bus, const std::string& uid) {
    JobRequest request;
    request.spec = &spec_;
    request.inputs = {{"in", 10, "digest"}};
    request.new_uid = uid;
    return EnsureJob(bus, request);
  }
  void MakeForeignStream(const std::string& name, const std::string& subject) {
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    config.description = "somebody else's";
    ASSERT_TRUE(bus_->CreateStream(config).ok());
  }
  std::vector<std::string> Streams() {
    std::vector<std::string> names = *bus_->ListStreams();
    std::erase_if(names, [](const std::string& name) { return name.starts_with("KV_"); });
    return names;
  }
  bool HasRecord() { return bus_->GetKey(kJobsBucket, "job.j").ok(); }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const JobSpec spec_ = *ParseJob("job.yaml", kJobText);
};

TEST_F(JobCreationTest, MakesTheRecordAndEveryStream) {
  const auto job = Ensure(kFirstUid);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->uid, kFirstUid);
  EXPECT_THAT(Streams(), IsSupersetOf({"mr-j-0-0", "mr-j-0-1", "mr-j-dead", "mr-j-out-0", "mr-j-out-1"}));
}

TEST_F(JobCreationTest, AStreamOfSomebodyElseUnderOurNameLeavesNothingOfTheJob) {
  MakeForeignStream("mr-j-0-1", "other");
  const auto job = Ensure(kFirstUid);
  EXPECT_TRUE(absl::IsFailedPrecondition(job.status()));
  EXPECT_THAT(ToStd(job.status().message()), HasSubstr("somebody else's"));
  EXPECT_FALSE(HasRecord());
  EXPECT_THAT(Streams(), testing::ElementsAre("mr-j-0-1"));
  broker_.DeleteStream("mr-j-0-1");
  EXPECT_TRUE(Ensure(kSecondUid).ok());
}

TEST_F(JobCreationTest, ASubjectThatAnotherStreamCoversLeavesNothingOfTheJob) {
  MakeForeignStream("collector", "mr.j.out.>");
  EXPECT_FALSE(Ensure(kFirstUid).ok());
  EXPECT_FALSE(HasRecord());
  EXPECT_THAT(Streams(), testing::ElementsAre("collector"));
}

TEST_F(JobCreationTest, OfAnUpdatedJobTheFileInForceIsTheSameJobAndThatBeforeIsNot) {
  ASSERT_TRUE(Ensure(kFirstUid).ok());
  const JobSpec next = *ParseJob("job.yaml", StrCat(kJobText, "  - inspect: r.n\n"));
  const CodeVersion update{1, next.text, 1, 0};
  ASSERT_TRUE(bus_->CreateKey(kJobsBucket, CodeKey(kFirstUid, 1), Encode(update)).ok());
  const auto first = Ensure(kSecondUid);
  EXPECT_TRUE(absl::IsFailedPrecondition(first.status()));
  EXPECT_THAT(ToStd(first.status().message()),
              HasSubstr("the file is version 0 of its code, and version 1 is in force"));
  JobRequest request;
  request.spec = &next;
  request.inputs = {{"in", 10, "digest"}};
  request.new_uid = kSecondUid;
  const auto again = EnsureJob(*bus_, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->uid, kFirstUid);
}

TEST_F(JobCreationTest, KilledBetweenRecordAndStreamsTheNextOneGoesOnUnderTheFirstUid) {
  ASSERT_TRUE(Ensure(kFirstUid).ok());
  for (const std::string& name : Streams()) {
    if (name != "mr-j-0-0") broker_.DeleteStream(name);
  }
  const auto job = Ensure(kSecondUid);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->uid, kFirstUid);
  EXPECT_EQ(Streams().size(), 5u);
  EXPECT_EQ(bus_->GetStream("mr-j-out-1")->config.description, StreamDescription(kFirstUid));
}

TEST_F(JobCreationTest, ATableIsPutWithTheJobAndAgainWhereItIsNotThere) {
  JobSpec spec =
      *ParseJob("job.yaml", StrCat(kJobText, "  - lookup: { table: t.csv, key: id, by: r.v, as: row }\n"));
  const auto fetch = [](const std::string&, const CodeFile*) -> absl::StatusOr<std::string> {
    return "id\na\n";
  };
  ASSERT_TRUE(CodeFiles("").Load(&spec, fetch).ok());
  JobRequest request;
  request.spec = &spec;
  request.new_uid = kFirstUid;
  const auto job = EnsureJob(*bus_, request);
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_EQ(job->files, spec.files);
  EXPECT_EQ(GetTable(*bus_, "j", job->files.at(0)).value(), "id\na\n");
  // Killed before it was put.
  broker_.DeleteStream(TableStream("j"));
  request.new_uid = kSecondUid;
  EXPECT_EQ(EnsureJob(*bus_, request)->uid, kFirstUid);
  EXPECT_EQ(GetTable(*bus_, "j", job->files.at(0)).value(), "id\na\n");
}

TEST_F(JobCreationTest, AnswersThatAreLostUndoNothing) {
  ASSERT_TRUE(Ensure(kFirstUid).ok());
  bus_->FailControl(absl::UnavailableError("no server"));
  EXPECT_TRUE(absl::IsUnavailable(Ensure(*bus_, kSecondUid).status()));
  bus_->FailControl(absl::OkStatus());
  EXPECT_EQ(Ensure(kSecondUid)->uid, kFirstUid);
}

TEST_F(JobCreationTest, OfTwoAtOnceBothGetTheSameJob) {
  for (int round = 0; round < 50; ++round) {
    MemoryBroker broker(clock_);
    const auto first = broker.Connect();
    const auto second = broker.Connect();
    absl::StatusOr<JobRecord> theirs;
    std::thread other([&] { theirs = Ensure(*second, kSecondUid); });
    const auto ours = Ensure(*first, kFirstUid);
    other.join();
    ASSERT_TRUE(ours.ok()) << ours.status();
    ASSERT_TRUE(theirs.ok()) << theirs.status();
    EXPECT_EQ(ours->uid, theirs->uid);
  }
}

}  // namespace
}  // namespace millrace
