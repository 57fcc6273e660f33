// The four partitions of PartitionWorld::TwoSegments, each with an owner, and the answer that they must come
// to.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/worker/partition/partition_harness.h"

namespace millrace {

class TwoSegmentRun {
 public:
  // Owners of worker "w1".
  TwoSegmentRun(PartitionWorld& world, std::mt19937_64& random);

  // Another owner of partition `i` on that worker; the one before is killed, if there was one.
  void Start(size_t i, const std::string& worker);
  // One event of one owner, which is returned.
  size_t StepOne();
  // Steps until all of it is completed; false when that takes more than `steps`.
  bool RunToEnd(int steps);
  bool completed();
  std::string Reports();

  PartitionOwner& owner(size_t i) { return *owners_[i]; }
  std::unique_ptr<PartitionOwner> Take(size_t i) { return std::move(owners_[i]); }
  const PartitionKey& key(size_t i) const { return keys_[i]; }
  size_t size() const { return owners_.size(); }

 private:
  PartitionWorld& world_;
  std::mt19937_64& random_;
  std::vector<PartitionKey> keys_;  // first those of segment 0
  std::vector<std::unique_ptr<PartitionOwner>> owners_;
};

using KeyTotals = std::map<std::string, int64_t>;  // records by key

// Frames of records of twelve keys, each key in a group of its own.
KeyTotals FeedKeys(PartitionWorld& world, int frames, std::mt19937_64& random);

// A key's n-th record makes its group's n-th output, {n, 1 + 2 + … + n}: a loss, a double and a swap all
// show.
void ExpectAnswer(PartitionWorld& world, const KeyTotals& totals);

}  // namespace millrace
