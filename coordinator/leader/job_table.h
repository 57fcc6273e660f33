// The jobs that are not over, with the commands given for them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/cluster/documents.h"
#include "coordinator/leader/cluster_view.h"

namespace millrace {

struct OpenJob {
  const JobRecord* record;         // valid until the next Observe
  std::vector<std::string> verbs;  // of its commands, in order of revision
  uint32_t step_version = 1;       // the greatest that a version of its code needs
};

// Not thread-safe. Keeps what it decoded: a record holds a whole job file, and is looked at in every step.
class JobTable {
 public:
  // Takes in what is new in mr-jobs.
  void Observe(const Entries& jobs);
  // In order of name: jobs with a record and without `final.<uid>`.
  std::vector<OpenJob> Open(const Entries& assignments) const;
  // Likewise: jobs with a record and without `sink.<uid>.done`, whether they have ended or not.
  std::vector<const JobRecord*> WithoutSinkDone(const Entries& assignments) const;

 private:
  struct Row {
    uint64_t revision = 0;
    JobRecord record;  // partitions == 0: cannot be read, and is left alone
  };
  void ObserveCode(const Entries& jobs);
  uint32_t StepVersionOf(const JobRecord& record) const;

  std::map<std::string, Row> rows_;               // by key
  std::map<std::string, uint32_t> code_engines_;  // what an update's code needs, by its key; keys made once
};

}  // namespace millrace
