// A job cut into its segments: the stages between two changes of the key, each with partitions of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/job/job_spec.h"

namespace millrace {

inline constexpr size_t kMaxSegments = 8;

// How many partitions each segment has; there is at least one segment.
std::vector<uint32_t> PartitionsBySegment(const JobSpec& job);

// One segment, written as a job of its own, so that whatever runs a job's stages runs a segment's.
struct SegmentSpec {
  // `stages` are the segment's, the `key_by` that ends it included; `partitions` its own; `key` is how a
  // stranger's message gets its key: the job's, or that of the `key_by` in front of the segment. Strangers
  // write to the first segment in the source's format, to the others in JSON.
  JobSpec job;
  SegmentId id;
  uint32_t upstreams = 0;    // partitions of the segment before; 0: the ingest feeds this one
  uint32_t downstreams = 0;  // partitions of the segment behind; 0: results leave from this one

  bool is_last() const { return downstreams == 0; }
  // All who write records to its input: each says when it has ended.
  std::vector<std::string> InputWriters() const;
};

// REQUIRES: id below the number of segments.
SegmentSpec SegmentOf(const JobSpec& job, SegmentId id);
std::vector<SegmentSpec> SegmentsOf(const JobSpec& job);
SegmentId LastSegment(const JobSpec& job);

// What one segment runs, at the number of each version of the job's code; never empty. The versions differ in
// what their stages do and in nothing else (common/job/code_fit.h).
using SegmentVersions = std::vector<std::shared_ptr<const SegmentSpec>>;
// REQUIRES: `versions` is not empty and each of them has the segment.
SegmentVersions SegmentVersionsOf(const std::vector<JobSpec>& versions, SegmentId id);
// Whether any of them may give verdicts.
bool RunsUserCode(const SegmentVersions& versions);

}  // namespace millrace
