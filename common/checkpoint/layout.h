// Where the checkpoints of a partition lie in a BlobStore, and what their objects are called:
//
//     <uid>/<segment>-<partition>/manifests/<epoch>-<offset>.json     one a checkpoint; put last
//     <uid>/<segment>-<partition>/files/<epoch>-<file>.sst            of the database; many checkpoints share
//     it <uid>/<segment>-<partition>/files/<epoch>-<offset>-<file>       of that checkpoint alone
//
// Epoch and offset have 20 digits, so that names sort as numbers do. Every name carries the epoch of the
// owner that put it: no two owners ever write the same object, and a zombie's can be told. Pure.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"

namespace millrace {

// Which checkpoint of a partition. The greater is the newer: a later owner's is in force whatever its offset.
struct CheckpointId {
  Epoch epoch;
  Offset offset;
  auto operator<=>(const CheckpointId&) const = default;
};

class CheckpointLayout {
 public:
  CheckpointLayout(std::string_view uid, SegmentId segment, PartitionId partition);

  const std::string& prefix() const { return prefix_; }
  std::string manifests() const { return prefix_ + "manifests/"; }
  std::string files() const { return prefix_ + "files/"; }

  std::string Manifest(const CheckpointId& id) const;
  // nullopt for other names.
  std::optional<CheckpointId> ParseManifest(std::string_view name) const;

  // `file`: as the database calls it.
  std::string File(const CheckpointId& id, std::string_view file) const;
  // The epoch in a file's name; nullopt for other names.
  std::optional<Epoch> EpochOfFile(std::string_view name) const;

 private:
  std::string prefix_;
};

// Whether a file of the database never changes under its name, and so can serve many checkpoints.
bool IsSharedFile(std::string_view file);

}  // namespace millrace
