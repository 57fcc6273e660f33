// The state on disk of jobs that were deleted.
#include <set>

#include "common/log.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {
namespace {

constexpr absl::Duration kStrayInterval = absl::Seconds(10);

}  // namespace

// State of jobs that were deleted: nobody will ask for it again. An opener looks and removes, since a folder
// of gigabytes takes longer than a lease may wait.
void WorkerRuntime::LookForStrayState() {
  if (stray_check_under_way_ || clock_.Monotonic() - stray_checked_at_ < kStrayInterval) return;
  stray_check_under_way_ = true;
  openers_.front()->Submit([this] {
    inbox_.Send(Strays{data_dir_->List().value_or(std::vector<DataDir::Partition>())});
    manager_bus_->Wake();
  });
}

void WorkerRuntime::RemoveStrayState(const Strays& there) {
  stray_check_under_way_ = false;
  stray_checked_at_ = clock_.Monotonic();
  std::set<std::string> in_use;
  for (const auto& [key, hosted] : hosted_) in_use.insert(key.uid);
  for (const DataDir::Partition& partition : there.on_disk) {
    if (in_use.contains(partition.uid) || membership_->JobMayExist(partition.uid)) continue;
    if (keeper_ != nullptr && keeper_->Keeps(partition.uid)) continue;
    LogInfo("removing the state of a job that was deleted",
            {{"uid", partition.uid}, {"partition", partition.partition.value()}});
    if (checkpointer_ != nullptr) checkpointer_->Forget(partition);
    openers_.front()->Submit([this, partition] {
      if (absl::Status status = data_dir_->Remove(partition); !status.ok())
        LogWarning("cannot remove state", {{"why", status}});
    });
  }
}

}  // namespace millrace
