// plan: workers and concurrency from a rate and times.
#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "coordinator/capacity/capacity.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/terminal/terminal.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

constexpr int64_t kDefaultLanes = 4;

std::string PlanText(const CapacityPlan& plan) {
  return absl::StrFormat(
      "busy lanes   %.2f on average (rate x time)\nlanes        %d with 30 %% of headroom\nworkers      %d\n"
      "concurrency  %d records under way at once, with the headroom\npartitions   %d or more\n",
      plan.busy_lanes, plan.lanes, plan.workers, plan.concurrency, plan.partitions);
}

std::string PlanJson(const CapacityPlan& plan) {
  return nlohmann::ordered_json{{"busy_lanes", plan.busy_lanes},
                                {"lanes", plan.lanes},
                                {"workers", plan.workers},
                                {"concurrency", plan.concurrency},
                                {"partitions", plan.partitions}}
             .dump(2) +
         "\n";
}

}  // namespace

int RunPlan(const Arguments& arguments) {
  CapacityRequest request;
  int64_t rate = 0, lanes = kDefaultLanes;
  CommandLine command("coordinator plan --rate N --time D [--waiting D] [--lanes N] [-o table|json]",
                      "How many workers, lanes and partitions a rate needs, and how many records are under "
                      "way at once: Little's law, with 30 % of headroom. What a record takes is the CPU of "
                      "`coordinator workers` by the records taken a second.",
                      "coordinator plan --rate 400000 --time 6us --lanes 4");
  command.AddOutput({"table", "json"});
  command.flags().Add("rate", &rate, "N", "records a second");
  command.flags().Add("time", &request.time, "what a record keeps a lane busy for");
  command.flags().Add("waiting", &request.waiting,
                      "what it waits for besides, without keeping the lane busy");
  command.flags().Add("lanes", &lanes, "N", "lanes of a worker: its cores");
  if (const auto exit = command.Parse(arguments)) return *exit;
  request.records_per_second = static_cast<double>(rate);
  request.lanes = lanes > 0 && lanes <= UINT32_MAX ? static_cast<uint32_t>(lanes) : 0;
  const auto plan = PlanCapacity(request);
  if (!plan.ok()) return Fail(plan.status());
  const absl::Status written = WriteOut(command.json() ? PlanJson(*plan) : PlanText(*plan));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace millrace
