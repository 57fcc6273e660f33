// Reads a job's streams to their end, as a plain reader, for the checker; and writes them down as they are.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "coordinator/chaos/history.h"
#include "coordinator/chaos/plain_nats.h"

namespace millrace::chaos {

// Fills in the logs, the outputs, the messages and the dead letters of the job that is called `name`: of its one
// ledger, or of those of both its segments, which have as many partitions each. `second`: nullptr: it has one.
// REQUIRES: their `partitions` have their size.
absl::Status CollectStreams(PlainNats& nats, const std::string& name, const std::string& uid,
                            LedgerHistory* first, LedgerHistory* second);

// Every stream of the server into a file of its own, a line of JSON a message.
absl::Status DumpStreams(PlainNats& nats, const std::string& folder);

}  // namespace millrace::chaos
