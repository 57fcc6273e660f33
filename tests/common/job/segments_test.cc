#include "common/job/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job/job_parser.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

JobSpec ThreeSegments() {
  const absl::StatusOr<JobSpec> job = ParseJob("job.yaml", R"(
name: j
source: { format: csv }
key: origin
time: { field: date }
partitions: 4
stages:
  - filter: r.delay > 0
  - key_by: carrier
    partitions: 2
  - key_by: [a, b]
  - aggregate: { n: count() }
)");
  EXPECT_TRUE(job.ok()) << job.status();
  return *job;
}

TEST(SegmentsOfAJob, EachHasItsStagesItsKeyAndItsPartitions) {
  const JobSpec job = ThreeSegments();
  EXPECT_THAT(PartitionsBySegment(job), ElementsAre(4, 2, 4));
  const std::vector<SegmentSpec> segments = SegmentsOf(job);
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[0].job.stages.size(), 2u);
  EXPECT_EQ(segments[1].job.stages.size(), 1u);
  EXPECT_EQ(segments[2].job.stages.size(), 1u);
  EXPECT_THAT(segments[0].job.key.paths, ElementsAre("origin"));
  EXPECT_THAT(segments[1].job.key.paths, ElementsAre("carrier"));
  EXPECT_THAT(segments[2].job.key.paths, ElementsAre("a", "b"));
  EXPECT_EQ(segments[1].job.partitions, 2u);
  EXPECT_EQ(segments[1].upstreams, 4u);
  EXPECT_EQ(segments[1].downstreams, 4u);
  EXPECT_FALSE(segments[1].is_last());
  EXPECT_TRUE(segments[2].is_last());
}

TEST(SegmentsOfAJob, TheFirstIsFedByTheIngestTheOthersByTheSegmentBefore) {
  const std::vector<SegmentSpec> segments = SegmentsOf(ThreeSegments());
  EXPECT_THAT(segments[0].InputWriters(), ElementsAre("in"));
  EXPECT_THAT(segments[1].InputWriters(), ElementsAre("0.0", "0.1", "0.2", "0.3"));
  EXPECT_THAT(segments[2].InputWriters(), ElementsAre("1.0", "1.1"));
}

TEST(SegmentsOfAJob, OnlyTheFirstReadsTheSourcesFormat) {
  const std::vector<SegmentSpec> segments = SegmentsOf(ThreeSegments());
  EXPECT_EQ(segments[0].job.source.format, Format::kCsv);
  EXPECT_TRUE(segments[0].job.time.has_value());
  EXPECT_EQ(segments[1].job.source.format, Format::kJsonLines);
  EXPECT_FALSE(segments[1].job.time.has_value());
}

TEST(SegmentsOfAJob, OnlyTheFirstTakesLogTimeForEventTime) {
  const absl::StatusOr<JobSpec> job = ParseJob("job.yaml", R"(
name: j
key: origin
stages:
  - key_by: carrier
  - window: { tumbling: 1h, aggregate: { n: count() } }
)");
  ASSERT_TRUE(job.ok()) << job.status();
  const std::vector<SegmentSpec> segments = SegmentsOf(*job);
  EXPECT_TRUE(segments[0].job.log_time_is_event_time);
  EXPECT_FALSE(segments[1].job.log_time_is_event_time);
}

TEST(SegmentsOfAJob, AJobWithoutKeyByIsOneSegment) {
  JobSpec job;
  job.partitions = 3;
  job.stages.resize(1);
  const std::vector<SegmentSpec> segments = SegmentsOf(job);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_TRUE(segments[0].is_last());
  EXPECT_EQ(segments[0].job.stages.size(), 1u);
}

}  // namespace
}  // namespace millrace
