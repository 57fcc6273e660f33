#include "coordinator/capacity/capacity.h"

#include <algorithm>
#include <cmath>

#include "common/job/job_spec.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr double kMostUnderWay = 1e9;  // beyond it a figure is a slip of the keys
constexpr double kNanosASecond = 1e9;
constexpr double kRounding = 1e-9;  // 7 / 0.7 is 10, whatever doubles make of it

uint64_t WithHeadroom(double busy) {
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(busy / (1 - kHeadroom) - kRounding)));
}

}  // namespace

absl::StatusOr<CapacityPlan> PlanCapacity(const CapacityRequest& request) {
  if (!(request.records_per_second > 0) || request.time <= absl::ZeroDuration() || request.lanes == 0) {
    return absl::InvalidArgumentError(
        "plan — it reckons with a rate, a time and lanes of more than 0 — try --rate 50000 --time 20us "
        "--lanes 4");
  }
  CapacityPlan plan;
  plan.busy_lanes = request.records_per_second * absl::ToDoubleNanoseconds(request.time) / kNanosASecond;
  const double under_way = request.records_per_second * absl::ToDoubleSeconds(request.time + request.waiting);
  if (!(under_way <= kMostUnderWay)) {
    return absl::InvalidArgumentError(
        StrCat("plan — ", under_way,
               " records would be under way at once — try --time and --waiting of one record, "
               "--rate of a second"));
  }
  plan.lanes = WithHeadroom(plan.busy_lanes);
  plan.workers = (plan.lanes + request.lanes - 1) / request.lanes;
  plan.concurrency = WithHeadroom(under_way);
  plan.partitions = plan.workers * request.lanes;
  if (plan.partitions > kMaxPartitions) {
    return absl::InvalidArgumentError(
        StrCat("plan — ", plan.partitions, " lanes need as many partitions, and a job has at most ",
               kMaxPartitions, " — try to make a record cheaper, or several jobs"));
  }
  return plan;
}

}  // namespace millrace
