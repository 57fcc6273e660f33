// Who owns which partition: a pure decision of the leader.
//
// The answer is even (over all jobs together, no worker has more than one partition more than another), moves
// as few partitions away from workers that could keep them as evenness allows, and is the same for the same
// arguments in whatever order they come. Within that it spreads each job, so that one busy job does not sit
// on one worker, and likewise each segment of a job.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace {

// By a job's uid: for each partition, segment after segment, the name of a worker, or empty for nobody.
using Owners = std::map<std::string, std::vector<std::string>>;

struct PlanJob {
  std::string uid;
  uint32_t partitions = 0;                      // of the first segment
  std::vector<uint32_t> later_partitions = {};  // of the segments behind it
};

// `workers`: names of those that may own, each once. `previous` may speak of workers and jobs that are gone.
// Without workers every partition belongs to nobody.
Owners Plan(std::vector<std::string> workers, std::vector<PlanJob> jobs, const Owners& previous);

// How many partitions changed from one worker to another; from or to nobody is no move.
size_t CountMoves(const Owners& from, const Owners& to);

}  // namespace millrace
