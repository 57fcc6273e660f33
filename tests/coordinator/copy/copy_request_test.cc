#include "coordinator/copy/copy_request.h"

#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/copy/copied_log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kCopiedText[] =
    "name: old\nsource: { format: jsonl, max_record: 64KiB }\nkey: k\npartitions: 4\nstages:\n"
    "  - aggregate: { n: count() }\n  - key_by: g\n    partitions: 3\n";
constexpr char kCopiedEndless[] = "name: old\nsource: { subject: a.> }\nkey: k\nstages: [ { map: r } ]\n";

CopyRequest ToTwelve() { return {"old", "new", 12, {}}; }

TEST(CopyRequestTest, RefusesNamesAndNumbersThatCannotBe) {
  EXPECT_EQ(CheckCopyRequest(ToTwelve()), absl::OkStatus());
  CopyRequest request = ToTwelve();
  request.partitions.reset();
  EXPECT_EQ(CheckCopyRequest(request), absl::OkStatus());
  for (const int64_t partitions : {int64_t{-1}, int64_t{0}, int64_t{kMaxPartitions} + 1}) {
    request.partitions = partitions;
    EXPECT_THAT(ToStd(CheckCopyRequest(request).message()), HasSubstr("1 to 4096"));
  }
  request = ToTwelve();
  request.sets = {"partitions=9"};
  EXPECT_THAT(ToStd(CheckCopyRequest(request).message()), HasSubstr("leave one of them out"));
  for (const char* name : {"", "-x", "a b", "old"}) {
    request = ToTwelve();
    request.name = name;
    EXPECT_TRUE(absl::IsInvalidArgument(CheckCopyRequest(request))) << name;
  }
}

TEST(CopyRequestTest, TheCopyIsTheJobWithAnotherNameAndNumber) {
  const JobSpec code = *ParseJob("old", kCopiedText);
  const auto spec = SpecOfCopy(code, ToTwelve());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "new");
  EXPECT_EQ(PartitionsBySegment(*spec), (std::vector<uint32_t>{12, 3}));
  EXPECT_EQ(spec->source.max_record_bytes, 64u << 10);
  // What is stored says the same.
  EXPECT_EQ(ParseJob("new", spec->text)->partitions, 12u);
}

TEST(CopyRequestTest, ChangesMayReachTheKeyAndTheStagesAndNotHowRecordsWereRead) {
  const JobSpec code = *ParseJob("old", kCopiedText);
  struct Case {
    const char* set;
    const char* error;  // empty: it is taken
  };
  for (const Case& test : std::vector<Case>{{"key=g", ""},
                                            {"stages.1.partitions=8", ""},
                                            {"retain=results", ""},
                                            {"name=other", "the copy is called new"},
                                            {"source.max_record=1KiB", "`source.max_record` was `65536`"},
                                            {"source.subject=a.b", "`source.subject`"},
                                            {"time={field: t}", "`time.field` was `none`, is `t`"},
                                            {"key={lua: 'r.'}", "key"},
                                            {"partitions=0", "partitions"}}) {
    CopyRequest request = ToTwelve();
    request.sets = {test.set};
    const auto spec = SpecOfCopy(code, request);
    EXPECT_EQ(spec.ok(), *test.error == '\0') << test.set << ": " << spec.status();
    EXPECT_TRUE(spec.ok() || absl::IsInvalidArgument(spec.status())) << test.set;
    EXPECT_THAT(ToStd(spec.status().message()), HasSubstr(test.error)) << test.set;
  }
}

TEST(CopyRequestTest, TheCopyOfAJobWithASourceReadsNone) {
  for (const char* text :
       {kCopiedEndless,
        "name: old\nsource: { format: jsonl, stream: S }\nkey: k\nstages: [ { map: r } ]\n"}) {
    const auto spec = SpecOfCopy(*ParseJob("old", text), ToTwelve());
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_FALSE(spec->source.unbounded());
    EXPECT_FALSE(ParseJob("new", spec->text)->source.unbounded());
  }
}

TEST(CopyRequestTest, AnInputThatMayGrowIsRefused) {
  const JobSpec files = *ParseJob("old", kCopiedText), endless = *ParseJob("old", kCopiedEndless);
  const FinalStatus over;
  EXPECT_EQ(*JudgeCopiedInput(files, nullptr, true), CopiedInput::kWhole);
  EXPECT_EQ(*JudgeCopiedInput(files, &over, true), CopiedInput::kWhole);
  EXPECT_EQ(*JudgeCopiedInput(files, &over, false), CopiedInput::kCutOff);
  EXPECT_EQ(*JudgeCopiedInput(endless, &over, false), CopiedInput::kCutOff);
  EXPECT_THAT(ToStd(JudgeCopiedInput(files, nullptr, false).status().message()), HasSubstr("not fed whole"));
  EXPECT_THAT(ToStd(JudgeCopiedInput(endless, nullptr, false).status().message()),
              AllOf(HasSubstr("reads a.> for ever"), Not(HasSubstr("submit its file"))));
}

TEST(CopyRequestTest, TellsACopyFromOtherJobs) {
  JobRecord job;
  job.name = "old";
  job.uid = "00000000000000aa";
  job.partitions = 2;
  JobRecord copy;
  copy.name = "new";
  for (uint32_t p = 0; p < 2; ++p) {
    const CopiedLog log = {InputStream("old", kFirstSegment, PartitionId(p)), 17, 100, true};
    copy.inputs.push_back(InputOfCopy(job.uid, log));
    EXPECT_EQ(*CopiedLogOf(copy.inputs.back()), log);
  }
  EXPECT_EQ(CheckIsCopyOf(copy, job), absl::OkStatus());
  job.uid = "00000000000000bb";
  EXPECT_THAT(ToStd(CheckIsCopyOf(copy, job).message()), HasSubstr("another job that was called old"));
  copy.inputs = {{"flights.jsonl", 10, "a1b2"}, {"more.jsonl", 10, "a1b2"}};
  EXPECT_THAT(ToStd(CheckIsCopyOf(copy, job).message()), HasSubstr("is no copy of old"));
  copy.inputs.pop_back();
  EXPECT_THAT(ToStd(CheckIsCopyOf(copy, job).message()), HasSubstr("is no copy of old"));
}

}  // namespace
}  // namespace millrace
