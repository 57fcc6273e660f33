#include "coordinator/copy/job_copy.h"

#include <fstream>

#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/ingest/input_reader.h"
#include "coordinator/ingest/job_creation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kJobCopyText[] =
    "name: old\nkey: k\npartitions: 2\nstages: [ { aggregate: { n: count() } } ]\n";
constexpr char kJobCopyUid[] = "00000000000000aa";
constexpr int kCopiedRecords = 50;

class JobCopyTest : public testing::Test {
 protected:
  JobRecord MakeOld(const std::string& uid = kJobCopyUid) {
    JobRequest request;
    request.spec = &spec_;
    request.inputs = {{"in", 10, "digest"}};
    request.new_uid = uid;
    const auto job = EnsureJob(*bus_, request);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? *job : JobRecord();
  }
  void FeedOld(const std::string& uid = kJobCopyUid) {
    const std::string path = folder_.path() + "/in";
    std::ofstream file(path);
    for (int i = 0; i < kCopiedRecords; ++i) file << "{\"k\":\"key-" << i % 7 << "\",\"g\":" << i << "}\n";
    file.close();
    const auto input = InputReader::Open({path}, {});
    const auto keys = KeyExtractor::Create(spec_);
    JobFeed feed(spec_, uid, *bus_, SystemClock(), {});
    EXPECT_EQ(feed.Feed(kIngestWriter, **input, **keys, {}), absl::OkStatus());
  }
  void Delete(const JobRecord& job, const JobSpec& spec) {
    for (const StreamConfig& stream : StreamsOf(job, spec, 1)) broker_.DeleteStream(stream.name);
    EXPECT_TRUE(bus_->DeleteKey(kJobsBucket, JobKey(job.name)).ok());
  }
  absl::Status Copy(int64_t partitions = 5, std::vector<std::string> sets = {}) {
    const std::unique_ptr<MemoryBus> bus = broker_.Connect();
    JobCopy copy({"old", "new", partitions, std::move(sets)}, {}, *bus, SystemClock());
    const absl::Status done = copy.Run();
    copied_ = done.ok() ? copy.feed().records() : 0;
    return done;
  }
  void ExpectRefused(const absl::Status& status, absl::StatusCode code, const std::string& why) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(ToStd(status.message()), HasSubstr(why));
  }
  JobRecord Record(const std::string& name) {
    const auto key = bus_->GetKey(kJobsBucket, JobKey(name));
    EXPECT_TRUE(key.ok());
    return key.ok() ? *DecodeJobRecord(key->value) : JobRecord();
  }

  TempFolder folder_{"copy"};
  MemoryBroker broker_{SystemClock()};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const JobSpec spec_ = *ParseJob("old", kJobCopyText);
  uint64_t copied_ = 0;
};

TEST_F(JobCopyTest, TheSameCommandHasNothingToDoAfterwardsAndAnotherIsRefused) {
  MakeOld();
  FeedOld();
  ASSERT_EQ(Copy(), absl::OkStatus());
  EXPECT_EQ(copied_, static_cast<uint64_t>(kCopiedRecords));
  EXPECT_EQ(Record("new").partitions, 5u);
  ASSERT_EQ(Copy(), absl::OkStatus());
  EXPECT_EQ(copied_, static_cast<uint64_t>(kCopiedRecords));
  ExpectRefused(Copy(6), absl::StatusCode::kFailedPrecondition, "`partitions` was `5`, is `6`");
  ExpectRefused(Copy(5, {"key=g"}), absl::StatusCode::kFailedPrecondition, "`key` was `k`, is `g`");
}

TEST_F(JobCopyTest, RunsTheCodeThatIsInForceNow) {
  const JobRecord job = MakeOld();
  FeedOld();
  const JobSpec next = *ParseJob("old", StrCat(kJobCopyText, "on_error: skip\n"));
  const CodeVersion update{1, next.text, 1, 0};
  ASSERT_TRUE(bus_->CreateKey(kJobsBucket, CodeKey(job.uid, 1), Encode(update)).ok());
  ASSERT_EQ(Copy(), absl::OkStatus());
  EXPECT_EQ(ParseJob("new", Record("new").spec_text)->errors.on_error, OnError::kSkip);
}

TEST_F(JobCopyTest, RefusesWhatCannotBeCopied) {
  EXPECT_TRUE(bus_->CreateBucket(kJobsBucket).ok());
  EXPECT_TRUE(absl::IsNotFound(Copy()));
  MakeOld();
  ExpectRefused(Copy(), absl::StatusCode::kFailedPrecondition, "not fed whole");
  FeedOld();
  broker_.Purge(InputStream("old", kFirstSegment, PartitionId(1)), 1);
  ExpectRefused(Copy(), absl::StatusCode::kFailedPrecondition, "what came before is deleted");
  EXPECT_TRUE(absl::IsNotFound(bus_->GetKey(kJobsBucket, JobKey("new")).status())) << "nothing was made";
}

TEST_F(JobCopyTest, AJobThatWasCancelledIsCopiedAsFarAsItWasFed) {
  MakeOld();
  FinalStatus cancelled;
  cancelled.state = "cancelled";
  ASSERT_TRUE(bus_->CreateKey(kAssignmentsBucket, FinalKey(kJobCopyUid), Encode(cancelled)).ok());
  ASSERT_EQ(Copy(), absl::OkStatus());
  EXPECT_EQ(copied_, 0u);
}

TEST_F(JobCopyTest, AJobThatIsDeletedOrAnotherByNowIsNotGoneOnWith) {
  const JobRecord job = MakeOld();
  FeedOld();
  ASSERT_EQ(Copy(), absl::OkStatus());
  const std::string fed = FedKey(Record("new").uid);
  Delete(job, spec_);
  ExpectRefused(Copy(), absl::StatusCode::kNotFound, "has all of it");
  ASSERT_TRUE(bus_->DeleteKey(kAssignmentsBucket, fed).ok());
  ExpectRefused(Copy(), absl::StatusCode::kNotFound, "has a part of it");
  MakeOld("00000000000000cc");
  ExpectRefused(Copy(), absl::StatusCode::kFailedPrecondition, "another job that was called old");
}

TEST_F(JobCopyTest, ACopyThatCompletedBeforeItsCommandCouldSaySoIsWhole) {
  const JobRecord job = MakeOld();
  FeedOld();
  ASSERT_EQ(Copy(), absl::OkStatus());
  const std::string uid = Record("new").uid;
  ASSERT_TRUE(bus_->DeleteKey(kAssignmentsBucket, FedKey(uid)).ok());
  FinalStatus completed;
  completed.state = "completed";
  completed.records_in = kCopiedRecords;
  ASSERT_TRUE(bus_->CreateKey(kAssignmentsBucket, FinalKey(uid), Encode(completed)).ok());
  ASSERT_EQ(Copy(), absl::OkStatus());
  EXPECT_EQ(copied_, static_cast<uint64_t>(kCopiedRecords));
  Delete(job, spec_);
  ExpectRefused(Copy(), absl::StatusCode::kNotFound, "has all of it");
}

TEST_F(JobCopyTest, LogsThatAreGoneStopACopyThatWasBegun) {
  MakeOld();
  FeedOld();
  ASSERT_EQ(Copy(), absl::OkStatus());
  ASSERT_TRUE(bus_->DeleteKey(kAssignmentsBucket, FedKey(Record("new").uid)).ok());
  broker_.DeleteStream(InputStream("old", kFirstSegment, PartitionId(1)));
  ExpectRefused(Copy(), absl::StatusCode::kDataLoss, "`coordinator delete new`");
}

TEST_F(JobCopyTest, AJobOfThatNameThatIsNoCopyStays) {
  MakeOld();
  FeedOld();
  const JobSpec other = *ParseJob("new", StrCat(kJobCopyText, "standby: 1\n"), {"name=new"});
  JobRequest request;
  request.spec = &other;
  request.inputs = {{"in", 10, "digest"}};
  request.new_uid = "00000000000000dd";
  ASSERT_TRUE(EnsureJob(*bus_, request).ok());
  ExpectRefused(Copy(), absl::StatusCode::kFailedPrecondition, "is no copy of old");
}

}  // namespace
}  // namespace millrace
