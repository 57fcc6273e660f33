// The connection that a process's flags describe.
#pragma once

#include <string>

#include "common/bus/nats_bus.h"
#include "common/flags.h"

namespace millrace {

// Everything that is no flag keeps its default.
NatsOptions NatsOptionsOf(const CommonOptions& flags, std::string client_name);

}  // namespace millrace
