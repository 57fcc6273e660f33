// How far a partition's outputs have come in one partition of the next segment: what a commit keeps of it,
// and what the next owner begins with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ids.h"

namespace millrace {

struct DownstreamMark {
  // Every output before it was taken by the readers, or is in the stream for them to take.
  Mark mark;
  uint64_t records = 0;  // of this writer on that stream, in all its epochs; for lag only
  // The owner's epoch mark there, and what it knew to be taken before: from here the stream can be judged
  // again.
  uint64_t since_sequence = 0;
  Mark since;
  // Likewise the owner's last message that was confirmed; not before `since`.
  uint64_t confirmed_sequence = 0;
  Mark confirmed;

  bool operator==(const DownstreamMark&) const = default;
};

// By partition of the next segment.
using DownstreamMarks = std::vector<DownstreamMark>;

std::string EncodeDownstreamMarks(const DownstreamMarks& marks);
// DATA_LOSS when malformed.
absl::StatusOr<DownstreamMarks> DecodeDownstreamMarks(std::string_view bytes);

}  // namespace millrace
