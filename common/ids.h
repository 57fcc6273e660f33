// Strong types for the numbers and names that are easily mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>

namespace millrace {

// An integer with a meaning of its own: values of two different tags neither mix nor compare.
template <typename Tag, typename Rep>
class StrongInt {
 public:
  using rep = Rep;

  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr StrongInt Next() const { return StrongInt(value_ + 1); }
  constexpr auto operator<=>(const StrongInt&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const StrongInt& id) {
    return H::combine(std::move(h), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& os, const StrongInt& id) { return os << id.value_; }

 private:
  Rep value_ = 0;
};

using SegmentId = StrongInt<struct SegmentTag, uint32_t>;
using PartitionId = StrongInt<struct PartitionTag, uint32_t>;
// The segment that the ingest feeds.
inline constexpr SegmentId kFirstSegment(0);
// Counts a partition's owners (or a job's ingests), from 1; 0 is "nobody yet".
using Epoch = StrongInt<struct EpochTag, uint64_t>;
// A frame's stream sequence in its partition, from 1; 0 is "before the first".
using Offset = StrongInt<struct OffsetTag, uint64_t>;

// A position in a writer's output: everything of offsets below `offset`, and the outputs of `offset` whose
// index is below `index`, lies before it. A mark behind the whole of frame n is therefore {n + 1, 0}. For an
// ingest, `offset` is a byte position in the concatenated, decompressed input.
struct Mark {
  uint64_t offset = 0;
  uint32_t index = 0;

  constexpr auto operator<=>(const Mark&) const = default;
  static constexpr Mark AfterFrame(Offset frame) { return {frame.value() + 1, 0}; }
  friend std::ostream& operator<<(std::ostream& os, const Mark& m) {
    return os << m.offset << '.' << m.index;
  }
};

inline constexpr int64_t kNoTime =
    std::numeric_limits<int64_t>::min();  // an absent time, in ms since the epoch
inline constexpr int64_t kEndOfTime =
    std::numeric_limits<int64_t>::max();  // the watermark behind the end mark

}  // namespace millrace
