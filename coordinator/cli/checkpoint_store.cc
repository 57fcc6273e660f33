#include "coordinator/cli/checkpoint_store.h"

#include "common/blob/blob_url.h"
#include "common/clock.h"
#include "common/strings.h"

namespace millrace {

void AddCheckpointsFlag(Flags& flags, std::string* url) {
  flags.Add("checkpoints", url, "URL",
            "where the workers copy state to: begins there where a log's beginning is deleted");
}

absl::StatusOr<std::unique_ptr<BlobStore>> OpenCheckpoints(const CommandLine& command,
                                                           const std::string& url) {
  if (url.empty()) return nullptr;
  const absl::StatusOr<BlobUrl> parsed = ParseBlobUrl(url);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(StrCat("--checkpoints ", ToStd(parsed.status().message())));
  }
  BlobEnvironment environment;
  environment.connect = [&command] { return command.Connect(); };
  environment.variable = EnvironmentVariable;
  environment.must_be_there = true;
  return OpenBlobStore(*parsed, environment, SystemClock());
}

}  // namespace millrace
