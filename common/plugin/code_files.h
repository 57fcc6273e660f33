// Where a job's files are found that are no job file, and whether they are the ones that the job was submitted with.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/job/job_spec.h"
#include "common/job/segments.h"
#include "common/plugin/plugin.h"

namespace millrace {

// What one process has loaded: each content once. Thread-safe; blocks on the disk.
class CodeFiles {
 public:
  // `plugins`: a folder; empty: there is none.
  explicit CodeFiles(std::string plugins) : plugins_(std::move(plugins)) {}

  // Loads what the stages of `spec` need, into them. What `spec->files` names must be that very content; what it does not
  // name (of a job file fresh from the disk) is noted there as it was found, and what nothing needs is left out. FAILED_PRECONDITION, one line, with the
  // stage's place: a file is missing, is another one, or cannot be used; nothing is loaded then.
  absl::Status Load(JobSpec* spec);
  // All versions; those that need nothing are handed back as they are.
  absl::StatusOr<SegmentVersions> Load(const SegmentVersions& versions);

 private:
  absl::Status LoadStages(const std::vector<CodeFile>& known, std::vector<StageSpec>* stages,
                          std::vector<CodeFile>* found);
  // `known`: what it must be; null: whatever is there. `found` says what it is.
  absl::StatusOr<std::shared_ptr<const Plugin>> FindPlugin(const std::string& name, const CodeFile* known,
                                                           CodeFile* found);

  const std::string plugins_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Plugin>> loaded_ ABSL_GUARDED_BY(mutex_);  // by SHA-256
};

// Whether a stage of the job, or of any of the versions, has its code in such a file.
bool NeedsCodeFiles(const JobSpec& spec);
bool NeedsCodeFiles(const SegmentVersions& versions);

}  // namespace millrace
