#include "common/job/segments.h"

#include <algorithm>

#include "common/check.h"
#include "common/frame/message_header.h"

namespace millrace {

std::vector<uint32_t> PartitionsBySegment(const JobSpec& job) {
  std::vector<uint32_t> partitions = {job.partitions};
  for (const StageSpec& stage : job.stages) {
    if (const auto* key_by = std::get_if<KeyByStage>(&stage.what)) {
      partitions.push_back(key_by->partitions > 0 ? key_by->partitions : job.partitions);
    }
  }
  return partitions;
}

SegmentId LastSegment(const JobSpec& job) {
  return SegmentId(static_cast<uint32_t>(PartitionsBySegment(job).size() - 1));
}

SegmentSpec SegmentOf(const JobSpec& job, SegmentId id) {
  const std::vector<uint32_t> partitions = PartitionsBySegment(job);
  const size_t s = id.value();
  MILLRACE_CHECK(s < partitions.size());
  SegmentSpec segment;
  segment.id = id;
  segment.job = job;
  segment.job.partitions = partitions[s];
  segment.job.stages.clear();
  segment.upstreams = s > 0 ? partitions[s - 1] : 0;
  segment.downstreams = s + 1 < partitions.size() ? partitions[s + 1] : 0;
  if (s > 0) {
    segment.job.source = SourceSpec();
    segment.job.source.max_record_bytes = job.source.max_record_bytes;
    segment.job.time.reset();
    segment.job.log_time_is_event_time = false;
  }
  size_t at = 0;
  for (const StageSpec& stage : job.stages) {
    if (at == s) segment.job.stages.push_back(stage);
    if (const auto* key_by = std::get_if<KeyByStage>(&stage.what)) {
      if (++at == s) segment.job.key = key_by->key;
    }
  }
  return segment;
}

std::vector<SegmentSpec> SegmentsOf(const JobSpec& job) {
  std::vector<SegmentSpec> segments;
  for (uint32_t s = 0; s <= LastSegment(job).value(); ++s) segments.push_back(SegmentOf(job, SegmentId(s)));
  return segments;
}

SegmentVersions SegmentVersionsOf(const std::vector<JobSpec>& versions, SegmentId id) {
  SegmentVersions segments;
  for (const JobSpec& job : versions) {
    segments.push_back(std::make_shared<const SegmentSpec>(SegmentOf(job, id)));
  }
  return segments;
}

bool RunsUserCode(const SegmentVersions& versions) {
  return std::any_of(versions.begin(), versions.end(),
                     [](const auto& segment) { return RunsUserCode(segment->job); });
}

std::vector<std::string> SegmentSpec::InputWriters() const {
  if (upstreams == 0) return {kIngestWriter};
  std::vector<std::string> writers;
  for (uint32_t p = 0; p < upstreams; ++p) {
    writers.push_back(OwnerWriter(SegmentId(id.value() - 1), PartitionId(p)));
  }
  return writers;
}

}  // namespace millrace
