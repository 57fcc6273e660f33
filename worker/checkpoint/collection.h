// Which checkpoints and files an owner may delete. Pure.
//
// The owner of the newest epoch collects, nobody else, in this order, so that nothing which somebody may
// still come to need goes:
//
//   1. the files are listed, then the manifests: a manifest that names a listed file is seen;
//   2. no later epoch was claimed (a key in mr-epochs, made once);
//   3. manifests but the newest `keep` go;
//   4. a file that no manifest names is noted, and goes when it was still not named a grace time later, after
//      1 and 2 were done again.
//
// A later owner takes files over only from manifests that it reads after its claim. Had it claimed before 2,
// this owner would stop there; if it claimed after, no manifest that it can read names the file.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/checkpoint/layout.h"

namespace millrace {

inline constexpr int kDefaultKeptCheckpoints = 3;
inline constexpr int kMaxKeptCheckpoints = 100;
// A restore that reads a manifest as it goes has so long to fetch the files.
inline constexpr absl::Duration kCollectionGrace = absl::Minutes(2);

struct ManifestsToKeep {
  bool fenced = false;  // a later owner has checkpoints: this one deletes nothing
  std::vector<CheckpointId> keep, drop;
};
ManifestsToKeep PlanManifests(std::vector<CheckpointId> there, Epoch epoch, size_t keep);

// Since when each file (its name in the store) has been seen without a manifest that names it.
using UnnamedFiles = std::map<std::string, absl::Duration>;

// What to delete now; `unnamed` is brought up to date. Files of later epochs are left alone.
std::vector<std::string> PlanFiles(const CheckpointLayout& layout, const std::vector<std::string>& there,
                                   const std::set<std::string>& named, Epoch epoch, absl::Duration now,
                                   absl::Duration grace, UnnamedFiles* unnamed);

}  // namespace millrace
