// Where flags are given: the command line, the environment, a config file; read with Boost.Program_options.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/flag_table.h"

namespace millrace {

// Each adds to `given`. INVALID_ARGUMENT, one line, with a near miss where a flag is not known.
absl::Status ReadCommandLine(const FlagTable& table, const std::vector<std::string>& words,
                             GivenByName* given, std::vector<std::string>* positional);
// --lease-ttl is MILLRACE_LEASE_TTL; NATS_URL also serves --nats.
void ReadEnvironment(const FlagTable& table, GivenByName* given);
// Lines `key = value`; messages begin with FILE:LINE.
absl::Status ReadConfigFile(const FlagTable& table, const std::string& path, GivenByName* given);

}  // namespace millrace
