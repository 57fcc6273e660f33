// What the leader measures of the work that is to be done, and how many workers it comes to.
//
// The lanes' time is the measure wherever lanes do the work, as a stream processor's true processing rate is (V. Kalavri et al.,
// "Three steps is all you need", OSDI 2018): a partition that takes `taken` records a second in a share `busy` of a lane's
// time needs busy * r / taken lanes for r records a second, whoever else is on that lane and however many workers there are.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

struct PartitionLoad {
  std::string owner;
  double busy = 0;      // share of a lane's time, 0 to 1
  double taken = 0;     // records a second; messages where records are not counted, as all that follows
  double arriving = 0;  // a second
  double lag = 0;
  // Not even an idle turn of its was counted lately: its lane is in one long turn, this partition's or another's.
  bool held_up = false;
};

struct JobLoad {
  std::string uid;
  std::vector<PartitionLoad> partitions;  // those that somebody works on, and whose rates are known
};

struct ClusterLoad {
  std::vector<JobLoad> jobs;
  size_t partitions = 0;  // to be worked on, those included of which nothing is known yet
  size_t joined = 0;      // workers that are ready
  double lanes = 1;       // of a worker, on average
  bool whole = false;     // everything that is to be known is known
};

// A leader sees a lag as old as leases are: so much of what arrives is no lag.
inline constexpr absl::Duration kNoLag = absl::Seconds(10);
// In so much time a lag is to be worked off, once there are workers enough.
inline constexpr absl::Duration kCatchUp = absl::Seconds(60);
// A lane that is busy for a larger share of the time is what its partitions wait for.
inline constexpr double kBusyLane = 0.8;

bool IsLate(const PartitionLoad& partition);
// What it is to take a second: what arrives, and its share of what is late.
double WantedRate(const PartitionLoad& partition);
// Of lanes; at most 1, because a partition is on one lane at a time, so that one hot partition asks for no more. One that is late
// and takes nothing asks for a whole one.
double LanesFor(const PartitionLoad& partition);
// By job, whether most of its partitions that have work are late while neither they nor the lanes that they are on are busy:
// they wait for handlers, threads of pools or services.
std::vector<bool> WaitElsewhere(const ClusterLoad& load);

}  // namespace millrace
