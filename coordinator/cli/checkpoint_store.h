// `--checkpoints URL` of commands that read what the workers put there.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/flags.h"
#include "coordinator/cli/command_line.h"

namespace millrace {

void AddCheckpointsFlag(Flags& flags, std::string* url);

// Null where no URL was given. INVALID_ARGUMENT, FAILED_PRECONDITION: it is none, or lacks its credentials.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenCheckpoints(const CommandLine& command,
                                                           const std::string& url);

}  // namespace millrace
