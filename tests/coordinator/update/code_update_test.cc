#include "coordinator/update/code_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "common/cluster/table_store.h"
#include "common/code/code_files.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/ingest/job_creation.h"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kBegin[] = "name: j\nkey: k\npartitions: 2\nstages:\n";
constexpr char kCount[] = "  - aggregate: { n: count() }\n";

JobSpec JobOf(const std::string& stages) { return *ParseJob("job.yaml", StrCat(kBegin, stages)); }

class CodeVersionTest : public testing::Test {
 protected:
  CodeVersionTest() {
    const JobSpec first = JobOf(kCount);
    JobRequest request;
    request.spec = &first;
    request.new_uid = "00000000000000aa";
    job_ = *EnsureJob(*bus_, request);
  }
  absl::StatusOr<UpdateMade> Update(const std::string& stages) { return Update(*bus_, JobOf(stages)); }
  absl::StatusOr<UpdateMade> Update(Bus& bus, const JobSpec& next) {
    UpdateRequest request;
    request.next = &next;
    return UpdateCode(bus, job_, request);
  }
  size_t Versions() { return ReadJobCode(*bus_, job_)->size(); }
  bool HasStream(const std::string& name) { return bus_->GetStream(name).ok(); }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  JobRecord job_;
};

TEST_F(CodeVersionTest, MakesOneVersionAfterTheOther) {
  const auto first = Update(StrCat("  - inspect: r.v\n", kCount));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->version, 1u);
  EXPECT_TRUE(first->is_new);
  EXPECT_EQ(Update(kCount)->version, 2u);
  EXPECT_EQ(ReadJobCode(*bus_, job_)->at(1).stages.size(), 2u);
}

TEST_F(CodeVersionTest, RunAgainItMakesNoSecondVersion) {
  EXPECT_FALSE(Update(StrCat(kCount, "# a comment\n"))->is_new);
  ASSERT_TRUE(Update(StrCat("  - inspect: r.v\n", kCount)).ok());
  const auto again = Update(StrCat("  - inspect: r.v\n", kCount));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->is_new);
  EXPECT_EQ(again->version, 1u);
  EXPECT_EQ(Versions(), 2u);
}

JobSpec WithPlugin(const std::string& name, char content) {
  JobSpec spec = JobOf(StrCat("  - flat_map: { plugin: ", name, " }\n", kCount));
  spec.files = {{name, 10, std::string(64, content)}};
  return spec;
}

TEST_F(CodeVersionTest, APluginWithOtherContentNeedsAnotherName) {
  ASSERT_TRUE(Update(*bus_, WithPlugin("words.so", 'a')).ok());
  EXPECT_FALSE(Update(*bus_, WithPlugin("words.so", 'a'))->is_new);
  const auto refused = Update(*bus_, WithPlugin("words.so", 'b'));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("`words.so` is another file than the one that version 1 of `j` runs"));
  ASSERT_TRUE(Update(*bus_, WithPlugin("words-2.so", 'b')).ok());
  // Also of a version that is not in force any more.
  EXPECT_FALSE(Update(*bus_, WithPlugin("words.so", 'c')).ok());
  ASSERT_TRUE(Update(*bus_, WithPlugin("words.so", 'a')).ok());
  EXPECT_EQ(ReadJobCode(*bus_, job_)->back().files, WithPlugin("words.so", 'a').files);
}

// As it comes from a job file beside that table.
JobSpec WithTable(const std::string& text) {
  JobSpec spec = JobOf(StrCat("  - lookup: { table: t.csv, key: id, by: r.v, as: row }\n", kCount));
  const auto fetch = [&](const std::string&, const CodeFile*) -> absl::StatusOr<std::string> { return text; };
  EXPECT_TRUE(CodeFiles("").Load(&spec, fetch).ok());
  return spec;
}

TEST_F(CodeVersionTest, ATableWithOtherContentIsANextVersionAndBothAreKept) {
  const std::string old_table = "id\na\n", new_table = "id\nb\n";
  ASSERT_TRUE(Update(*bus_, WithTable(old_table)).ok());
  EXPECT_FALSE(Update(*bus_, WithTable(old_table))->is_new);
  const auto updated = Update(*bus_, WithTable(new_table));
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->version, 2u);
  const JobCode code = *ReadJobCode(*bus_, job_);
  EXPECT_EQ(GetTable(*bus_, "j", code[1].files.at(0)).value(), old_table);
  EXPECT_EQ(GetTable(*bus_, "j", code[2].files.at(0)).value(), new_table);
}

TEST_F(CodeVersionTest, ATableThatCannotBePutMakesNoVersion) {
  ASSERT_TRUE(Update(*bus_, WithTable("id\na\n")).ok());
  bus_->LoseNextControlAnswer();
  EXPECT_FALSE(Update(*bus_, WithTable("id\nb\n")).ok());
  EXPECT_EQ(Versions(), 2u);
  EXPECT_TRUE(Update(*bus_, WithTable("id\nb\n")).ok());
}

TEST_F(CodeVersionTest, WhatDoesNotFitTheStateChangesNothing) {
  const auto made = Update("  - aggregate: { m: sum(v) }\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(made.status()));
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("job.yaml:5:5: "));
  EXPECT_EQ(Versions(), 1u);
}

TEST_F(CodeVersionTest, MakesTheVerdictStreamsThatUserCodeNeeds) {
  ASSERT_FALSE(HasStream("mr-j-0-1-v"));
  ASSERT_TRUE(Update(StrCat("  - filter: r.v > 0\n", kCount)).ok());
  EXPECT_TRUE(HasStream("mr-j-0-0-v"));
  EXPECT_TRUE(HasStream("mr-j-0-1-v"));
}

TEST_F(CodeVersionTest, MakesNoStreamAnewThatIsGone) {
  ASSERT_TRUE(bus_->DeleteStream("mr-j-0-1").ok());
  ASSERT_TRUE(Update(StrCat("  - filter: r.v > 0\n", kCount)).ok());
  EXPECT_FALSE(HasStream("mr-j-0-1"));
}

// Its answer was lost, or it lost the race: the key decides.
class RacingBus : public ForwardingBus {
 public:
  RacingBus(Bus& bus, std::string value) : ForwardingBus(bus), value_(std::move(value)) {}
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override {
    if (!value_.empty()) {
      EXPECT_TRUE(ForwardingBus::CreateKey(bucket, key, std::exchange(value_, "")).ok());
    }
    return ForwardingBus::CreateKey(bucket, key, value);
  }

 private:
  std::string value_;
};

TEST_F(CodeVersionTest, OfTwoAtOnceOneWinsAndTheOtherSaysSo) {
  const CodeVersion theirs{1, JobOf(StrCat("  - inspect: r.w\n", kCount)).text, 1, 0};
  RacingBus bus(*bus_, Encode(theirs));
  const auto made = Update(bus, JobOf(StrCat("  - inspect: r.v\n", kCount)));
  EXPECT_TRUE(absl::IsFailedPrecondition(made.status()));
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("by somebody else just now"));
  EXPECT_EQ(Versions(), 2u);
}

TEST_F(CodeVersionTest, AnAnswerThatWasLostIsNoOtherUpdate) {
  const JobSpec next = JobOf(StrCat("  - inspect: r.v\n", kCount));
  RacingBus bus(*bus_, Encode(CodeVersion{1, next.text, 1, 7}));
  const auto made = Update(bus, next);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->version, 1u);
}

TEST_F(CodeVersionTest, AJobThatIsDeletedMeanwhileLeavesNothing) {
  ASSERT_TRUE(bus_->DeleteKey(kJobsBucket, JobKey("j")).ok());
  EXPECT_TRUE(absl::IsNotFound(Update(StrCat("  - inspect: r.v\n", kCount)).status()));
  EXPECT_TRUE(absl::IsNotFound(bus_->GetKey(kJobsBucket, CodeKey(job_.uid, 1)).status()));
}

TEST(UpdateProgressTest, CountsPartitionsThatRunItOrNeedItNoMore) {
  JobRecord job;
  job.name = "j";
  job.uid = "u";
  job.partitions = 4;
  Cluster cluster;
  cluster.assignment = Assignment{1, 1, {JobAssignment{"j", "u", false, {"w", "w", "w", "w"}}}};
  WorkerLease& lease = cluster.workers["w"].lease;
  lease.name = "w";
  const auto say = [&](uint32_t partition, uint64_t version, const std::string& state,
                       const std::string& why) {
    PartitionReport& report = lease.partitions.emplace_back();
    report.uid = "u";
    report.partition = partition;
    report.code_version = version;
    report.state = state;
    report.reason = why;
  };
  cluster.newest_lease_ns = cluster.workers["w"].renewed_ns = 1;
  say(0, 2, "running", "");
  say(1, 0, "completed", "");
  say(2, 1, "stopped", "no disk");
  const UpdateProgress progress = ProgressOf(cluster, job, 2);
  EXPECT_EQ(progress.partitions, 4u);
  EXPECT_EQ(progress.done, 2u);
  EXPECT_EQ(progress.waiting, "partition 2: stopped: no disk");
  EXPECT_EQ(ProgressOf(cluster, job, 1).waiting, "partition 3: no worker has it yet");
}

}  // namespace
}  // namespace millrace
