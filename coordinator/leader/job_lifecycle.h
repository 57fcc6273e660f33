// What is to become of a job: a pure decision of the leader over what the cluster says of it.
//
// Everything that it looks at outlives a leader: commands are keys made once, and owners repeat their reports
// in every lease. A new leader therefore comes to the same decision, and `final.<uid>`, made once, lets one
// decision win.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/cluster/documents.h"

namespace millrace {

struct JobFacts {
  std::vector<std::string> verbs;  // of the job's commands, in order of revision
  // Of every segment's partitions: what its owner, alive, says of it; null when nobody does.
  std::vector<const PartitionReport*> reports;
  SegmentId last_segment = kFirstSegment;  // where results leave from
};

struct JobDecision {
  bool paused = false;
  // Set when the job is over: state, reason and sums; the caller adds the time and its term.
  std::optional<FinalStatus> final;
};

// A cancel that has arrived wins over anything else that could end the job; a failed partition over the
// completion of the others.
JobDecision Next(const JobFacts& facts);

}  // namespace millrace
