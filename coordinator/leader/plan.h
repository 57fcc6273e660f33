// Who owns which partition: a pure decision of the leader.
//
// The answer is even by weight: a partition weighs as much as one that is idle, and as much again as it has
// of the mean load. Without loads, that is: over all jobs together, no worker has more than one partition
// more than another. It moves as few partitions as that takes, at most `max_moves` from one living worker to
// another at a time, and is the same for the same arguments in whatever order they come. Within that it
// spreads each segment of a job over zones, then over workers, so that neither the loss of a zone nor one
// busy job falls on a few; and what it moves to a worker is first what that had before, and may have the
// state of. A partition that is lost or has to leave goes to its standby, which has a copy of its state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace {

// A moved partition stands still until its state is there again: so many at a time.
inline constexpr size_t kMaxMovesAtOnce = 16;
// Where loads are known, a difference of this part of the mean worker's weight moves nothing: loads are never
// still.
inline constexpr double kLoadSlack = 0.2;

// By a job's uid: for each partition, segment after segment, the name of a worker, or empty for nobody.
using Owners = std::map<std::string, std::vector<std::string>>;

struct PlanWorker {
  std::string name;
  std::string zone = {};      // empty: all of these are one zone
  bool drains = false;        // is given nothing, and loses what it has
  uint32_t step_version = 1;  // of its engine; not looked at by Plan
  bool checkpoints = false;   // has a checkpoint store: it can copy state
};

struct PlanJob {
  std::string uid;
  uint32_t partitions = 0;                      // of the first segment
  std::vector<uint32_t> later_partitions = {};  // of the segments behind it
  // By partition, segment after segment, in any unit that all jobs share; negative or missing: unknown.
  std::vector<double> loads = {};
  uint32_t step_version = 1;  // the engine that it needs; not looked at by Plan
  uint32_t standbys = 0;      // wanted of each partition: 0 or 1; Plan does not look at it
};

// `workers`: those that are alive, each once. `previous` (who has each partition, or had it last), `before`
// (who had it before that) and `standbys` may speak of workers and jobs that are gone. Partitions that nobody
// has are always placed. Without a worker that may take them, all belong to nobody.
Owners Plan(std::vector<PlanWorker> workers, std::vector<PlanJob> jobs, const Owners& previous,
            size_t max_moves = kMaxMovesAtOnce, const Owners& before = {}, const Owners& standbys = {});

// How many partitions changed from one worker to another; from or to nobody is no move.
size_t CountMoves(const Owners& from, const Owners& to);

}  // namespace millrace
