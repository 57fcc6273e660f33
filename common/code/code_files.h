// Where a job's files are found that are no job file, and whether they are the ones that the job was submitted with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/job/job_spec.h"
#include "common/job/segments.h"
#include "common/pipeline/lookup_table.h"
#include "common/plugin/plugin.h"

namespace millrace {

// Where a table's text comes from: the folder of the job file, or the broker. `known`: what it must be; null: whatever is
// there.
using FetchTable = std::function<absl::StatusOr<std::string>(const std::string& name, const CodeFile* known)>;

// What one process has loaded: each content once. Thread-safe; blocks on the disk and on what tables are fetched from.
class CodeFiles {
 public:
  // `plugins`: a folder; empty: there is none.
  explicit CodeFiles(std::string plugins) : plugins_(std::move(plugins)) {}

  // Loads what the stages of `spec` need, into them. What `spec->files` names must be that very content; what it does not
  // name (of a job file fresh from the disk) is noted there as it was found, and what nothing needs is left out.
  // FAILED_PRECONDITION or INVALID_ARGUMENT, one line, with the stage's place: a file is missing, is another one, or cannot
  // be used; other errors are those of `fetch`, without which there are no tables. Nothing is loaded then.
  absl::Status Load(JobSpec* spec, const FetchTable& fetch = {});
  // Those of the versions from `first` on; the others, and those that need nothing, are handed back as they are.
  absl::StatusOr<SegmentVersions> Load(const SegmentVersions& versions, uint64_t first,
                                       const FetchTable& fetch);

 private:
  // One Load.
  struct Loading {
    const std::vector<CodeFile>& known;
    const FetchTable& fetch;
    std::vector<CodeFile> found = {};
  };
  absl::Status LoadStages(Loading& loading, std::vector<StageSpec>* stages);
  absl::Status LoadPlugin(Loading& loading, const StageSpec& stage, PluginSpec* plugin);
  absl::Status LoadTable(Loading& loading, LookupStage* lookup);
  // `known`: what it must be; null: whatever is there. `found` says what it is.
  absl::StatusOr<std::shared_ptr<const Plugin>> FindPlugin(const std::string& name, const CodeFile* known,
                                                           CodeFile* found);

  const std::string plugins_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Plugin>> loaded_ ABSL_GUARDED_BY(mutex_);  // by SHA-256
  // By SHA-256 and column, as long as anybody has them.
  std::map<std::string, std::weak_ptr<const LookupTable>> tables_ ABSL_GUARDED_BY(mutex_);
};

// Whether a stage of the job, or of any of the versions, needs such a file.
bool NeedsCodeFiles(const JobSpec& spec);
bool NeedsCodeFiles(const SegmentVersions& versions);

}  // namespace millrace
