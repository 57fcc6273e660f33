// The worker's data folder:
//
//     DIR/LOCK                          held while the worker runs; has its pid
//     DIR/ID                            16 hex digits, random, made with the folder
//     DIR/<uid>/<segment>-<partition>/  the database of a partition
//     DIR/<uid>/<segment>-<partition>.<what>/
//                                       on its way to or from a checkpoint; what a crash leaves is removed at
//                                       the next start
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids.h"

namespace millrace {

// Holds the folder's lock as long as it lives. Thread-safe: it keeps no state but the lock.
class DataDir {
 public:
  struct Partition {
    std::string uid;
    SegmentId segment;
    PartitionId partition;
    auto operator<=>(const Partition&) const = default;
  };

  // Makes the folder where it is missing. FAILED_PRECONDITION, naming the pid, when another process holds it;
  // PERMISSION_DENIED when it cannot be written; RESOURCE_EXHAUSTED when the disk is full.
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(const std::string& dir);
  ~DataDir();
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;

  // The folder of a partition's database, with its parent made.
  absl::StatusOr<std::string> PartitionFolder(const Partition& partition) const;
  // A folder beside it, with its parent made; itself not there. REQUIRES: nobody uses one of that name.
  absl::StatusOr<std::string> AsideFolder(const Partition& partition, std::string_view what) const;
  // Makes the folder `with`, which is on the same disk, that of the partition's database. A crash leaves the
  // one or the other; none where the file system cannot exchange two folders. REQUIRES: its database is not
  // open.
  absl::Status Replace(const Partition& partition, const std::string& with) const;
  // OK too when it is not there. REQUIRES: its database is not open.
  absl::Status Remove(const Partition& partition) const;
  // What is there, sorted. Files and folders with other names are left alone.
  absl::StatusOr<std::vector<Partition>> List() const;

  const std::string& path() const { return dir_; }
  // What this folder is known by, as long as it is not emptied.
  const std::string& id() const { return id_; }

 private:
  DataDir(std::string dir, int lock_fd) : dir_(std::move(dir)), lock_fd_(lock_fd) {}
  void RemoveAsides() const;

  const std::string dir_;
  const int lock_fd_;
  std::string id_;
};

}  // namespace millrace
