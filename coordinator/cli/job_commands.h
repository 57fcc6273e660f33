// What the commands do to a job by way of the leader: a key made once asks for it, and the answer is read
// from what the leader makes of it.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/views/cluster.h"

namespace millrace {

inline constexpr absl::Duration kRoomPatience = absl::Seconds(10);  // for the room that deleted streams leave
inline constexpr absl::Duration kClusterPollInterval = absl::Milliseconds(200);

enum class JobVerb { kPause, kResume, kCancel };
std::string VerbName(JobVerb verb);

// Whether the job is as the verb wants it. FAILED_PRECONDITION when it can no longer come to that.
absl::StatusOr<bool> IsApplied(const Cluster& cluster, const JobRecord& job, JobVerb verb);

// How long to wait for what others have to do.
struct WaitLimits {
  absl::Duration timeout;
  std::function<absl::Status()> keep_waiting = CheckInterrupted;  // its error ends the wait
};

// Asks for the verb, unless it holds already, and waits until it does. DEADLINE_EXCEEDED: the request stands,
// but no coordinator has applied it in time.
absl::Status ApplyVerb(Bus& bus, Clock& clock, const std::string& job_name, JobVerb verb,
                       const WaitLimits& limits);

// Waits until a final job has left the assignment in force and no live worker reports it any more: nobody
// will write to its streams.
absl::Status WaitUntilLetGo(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits);

// Cancels a job that is to be deleted. In a store that is full not even that can be asked for: then the job's
// streams go first, and the request follows into the room that they leave. FAILED_PRECONDITION: it ended by
// itself, as good.
absl::Status CancelToDelete(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits);

// Deletes what a final job has left: its streams (those that carry its uid), its keys, then its record, and last
// how it ended and where its results are. Killed before the record is gone and run again, it goes on; what a kill
// behind that leaves (a few keys) goes with the next job that is deleted.
absl::Status DeleteJob(Bus& bus, const JobRecord& job);
// Likewise, and tries again for a while where the store is full: to delete a key is to write one, and what
// its streams leave is not there at once.
absl::Status DeleteJobInFullStore(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits);

}  // namespace millrace
