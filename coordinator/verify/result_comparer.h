// Results as they are against results as they should be: one by one, by label.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "common/frame/frame.h"
#include "common/ids.h"

namespace millrace {

// The first differences, and how many there are in all.
class Differences {
 public:
  static constexpr size_t kMaxKept = 10;
  void Add(std::string difference);
  const std::vector<std::string>& kept() const { return kept_; }
  uint64_t count() const { return count_; }

 private:
  std::vector<std::string> kept_;
  uint64_t count_ = 0;
};

// Of one partition. Not thread-safe.
class ResultComparer {
 public:
  ResultComparer(PartitionId partition, Differences* differences)
      : partition_(partition), differences_(differences) {}

  // The next result that should be. REQUIRES: labels rise.
  void Expect(const RecordView& record);
  // The next result that is. REQUIRES: everything up to its offset was expected.
  void Find(const RecordView& record);
  // Likewise, of a message before those that are replayed: only that it is there once, and in order.
  void Pass(const RecordView& record);
  // No more results will be found. What was expected of frames up to `settled` is missing; what lies behind
  // may still be on its way.
  void Finish(Offset settled);

  uint64_t compared() const { return compared_; }
  uint64_t passed() const { return passed_; }
  uint64_t on_the_way() const { return on_the_way_; }

 private:
  // False when it does not stand where it may, which is reported.
  bool IsInOrder(const Mark& label);
  struct Expected {
    Mark label;
    std::string key, value, headers;
    std::vector<std::string> fields;
    uint32_t form = kRawShape;  // raw, packed or row
    int64_t time_ms = kNoTime;
  };
  void Compare(const Expected& expected, const RecordView& found);
  void Report(const Mark& label, const std::string& what);

  const PartitionId partition_;
  Differences* const differences_;
  std::deque<Expected> expected_;
  Mark found_until_;  // behind the last label found
  uint64_t compared_ = 0;
  uint64_t passed_ = 0;
  uint64_t on_the_way_ = 0;
};

}  // namespace millrace
