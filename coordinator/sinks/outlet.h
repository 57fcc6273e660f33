// Where a job's results are brought out to, and what of them is out.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/cluster/documents.h"
#include "common/frame/frame.h"
#include "common/ids.h"

namespace millrace {

inline constexpr absl::Duration kSinkCommitInterval = absl::Milliseconds(250);

// One try at writing: whatever fails, another one is made, whose Begin answers what is out for good. Not
// thread-safe.
class Outlet {
 public:
  virtual ~Outlet() = default;

  // First. What is out; whatever was put behind that by one before has been taken back, or will be known again.
  virtual absl::StatusOr<SinkPosition> Begin() = 0;
  // Records of one partition come in order of their labels.
  virtual absl::Status Put(PartitionId partition, const RecordView& record) = 0;
  // Nothing comes for a moment: what was put may as well be seen.
  virtual absl::Status Flush() = 0;
  // Whether it wants a Commit now.
  virtual bool full() const = 0;
  // A Commit comes at the latest so long after what was put first.
  virtual absl::Duration commit_interval() const { return kSinkCommitInterval; }
  // All that was put is out for good, and `position` stands behind it.
  virtual absl::Status Commit(const SinkPosition& position) = 0;
  // Last: all is out, and somebody else knows. Leaves nothing behind but the results. Nothing to do where Begin
  // failed.
  virtual absl::Status End() = 0;

  // For people: "file /var/out.jsonl on host a".
  virtual std::string ToString() const = 0;
};

}  // namespace millrace
