#include "integration/bench/job.h"

#include "absl/random/random.h"
#include "absl/strings/str_format.h"
#include "common/clock.h"
#include "common/job/job_parser.h"
#include "coordinator/ingest/job_creation.h"
#include "integration/bench/workload.h"

namespace millrace::bench {

absl::StatusOr<JobRecord> MakeJob(Bus& bus, const std::string& name, uint32_t partitions, Segments segments) {
  const absl::StatusOr<JobSpec> spec = ParseJob("bench.yaml", RunningTotalJob(name, partitions, segments));
  if (!spec.ok()) return spec.status();
  JobRequest request;
  request.spec = &*spec;
  request.new_uid = absl::StrFormat("%016x", absl::Uniform<uint64_t>(absl::BitGen()));
  request.now_ms = absl::ToUnixMillis(SystemClock().Now());
  return EnsureJob(bus, request);
}

}  // namespace millrace::bench
