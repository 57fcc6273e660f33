// The disk of one simulated worker: databases with the contract of PartitionDb. A killed process keeps what
// it has written; a power cut takes the last commits that were not synced, each of them whole or not at all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/state/partition_db.h"
#include "tests/simulation/kernel.h"

namespace millrace::sim {

using Rows = std::map<std::string, std::string, std::less<>>;

class Disk {
 public:
  // Told of every commit when it is written: the folder, and the rows as they then are.
  using OnCommit = std::function<void(const std::string& dir, const Rows& rows)>;

  explicit Disk(Kernel& kernel) : kernel_(kernel) {}

  // What a worker process opens its databases with; its tasks wait while the disk works.
  std::shared_ptr<DbResources> Mount(Process& process, OnCommit on_commit);

  // --- faults
  void CutPower();        // REQUIRES: nobody has a database open
  void FlipABit();        // a database that is then found damaged
  void LoseEverything();  // REQUIRES: nobody has a database open
  void FillUp(bool full) { full_ = full; }
  void SlowDown(absl::Duration each) { delay_ = each; }

  // The rows that a database has now; empty: there is none.
  Rows Look(const std::string& dir) const;
  std::vector<std::string> folders() const;

 private:
  friend class SimDb;
  friend class SimDbResources;

  struct Change {
    std::vector<std::pair<std::string, std::string>> put;
    std::vector<std::string> erased;
  };
  struct File {
    std::shared_ptr<Rows> rows = std::make_shared<Rows>();
    Rows synced;
    std::deque<Change> unsynced;  // behind `synced`, in order
    bool open = false;
    bool damaged = false;
  };
  static void Apply(const Change& change, Rows* rows);
  void Write(File& file, Change change);

  Kernel& kernel_;
  std::map<std::string, File> files_;
  bool full_ = false;
  absl::Duration delay_;
};

}  // namespace millrace::sim
