// Does what one segment handed to the next follow from its input? The logs of the next segment say what was
// taken, the replay of this one what should have been.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/frame/frame.h"
#include "common/ids.h"
#include "coordinator/verify/result_comparer.h"

namespace millrace {

// Between all partitions of segment `from` and all of the one behind it. Keeps a digest for every
// kRecordsADigest records. Not thread-safe.
class Crossing {
 public:
  static constexpr uint64_t kRecordsADigest = 64;

  Crossing(SegmentId from, uint32_t upstreams, uint32_t downstreams, Differences* differences);

  // Of what goes from `upstream` to `downstream` only labels from `begin` on are compared: what was handed over
  // before is in a checkpoint. REQUIRES: Find and Expect were not called.
  void BeginAt(PartitionId upstream, PartitionId downstream, const Mark& begin);
  // The next record of `upstream` that counts in the log of `downstream`.
  void Find(PartitionId upstream, PartitionId downstream, const RecordView& record);
  // The next output of `upstream`. REQUIRES: all of the next segment's logs were read.
  void Expect(PartitionId upstream, const RecordView& record);
  // `upstream` puts out no more. What it should have of frames up to `settled` is missing if it was not
  // found; what lies behind may still be on its way.
  void Finish(PartitionId upstream, Offset settled);

  uint64_t compared() const { return compared_; }
  uint64_t on_the_way() const { return on_the_way_; }

 private:
  struct Digest {
    uint64_t digest = 0;
    Mark last;  // the label it includes
  };
  // From one partition to one other.
  struct Path {
    Mark begin;
    std::vector<Digest> found;  // behind every kRecordsADigest records
    Digest found_last;
    uint64_t found_count = 0;
    Digest expected;
    uint64_t expected_count = 0;
    std::vector<Mark> missing;  // expected, not found: the first few
    uint64_t missing_count = 0;
    bool differs = false;  // told already
  };
  Path& PathOf(PartitionId upstream, PartitionId downstream) {
    return paths_[size_t{upstream.value()} * downstreams_ + downstream.value()];
  }
  void Report(PartitionId upstream, PartitionId downstream, const std::string& what);

  const SegmentId from_;
  const uint32_t upstreams_;
  const uint32_t downstreams_;
  Differences* const differences_;
  std::vector<Path> paths_;
  uint64_t compared_ = 0;
  uint64_t on_the_way_ = 0;
};

}  // namespace millrace
