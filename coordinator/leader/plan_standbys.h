// Who keeps a copy of which partition's state: a pure decision of the leader.
//
// Never the partition's owner, and a worker of another zone where there is one; then even: no worker has more
// than one copy more than another, as far as that allows. Who has a copy keeps it where it can: another one
// would have to fetch all of it. The same for the same arguments in whatever order they come.
#pragma once

#include <string>
#include <vector>

#include "coordinator/leader/plan.h"

namespace millrace {

// For the jobs `wanting` a standby, those of each partition; empty where nobody can be one: who drains or has
// no checkpoint store cannot. `owners`: as planned now. `previous` may speak of workers that are gone.
Owners PlanStandbys(std::vector<PlanWorker> workers, std::vector<std::string> wanting, const Owners& owners,
                    const Owners& previous);

}  // namespace millrace
