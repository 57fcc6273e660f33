// The page at `/`: jobs and workers, for people.
#pragma once

#include <string>

#include "coordinator/views/cluster.h"

namespace millrace {

// Pure. Refreshes itself; needs no script.
std::string FrontPage(const Cluster& cluster);

}  // namespace millrace
