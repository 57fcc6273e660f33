// Which partition of which job, and the names that follow from it.
#pragma once

#include <compare>
#include <string>

#include "common/frame/message_header.h"
#include "common/ids.h"
#include "common/names.h"

namespace millrace {

struct PartitionKey {
  std::string job;
  std::string uid;
  SegmentId segment;
  PartitionId partition;

  auto operator<=>(const PartitionKey&) const = default;

  std::string input_stream() const { return InputStream(job, segment, partition); }
  std::string input_subject() const { return InputSubject(job, segment, partition); }
  std::string result_stream() const { return ResultStream(job, partition); }
  std::string result_subject() const { return ResultSubject(job, partition); }
  std::string verdict_stream() const { return VerdictStream(job, segment, partition); }
  std::string verdict_subject() const { return VerdictSubject(job, segment, partition); }
  std::string dead_letter_subject() const { return DeadLetterSubject(job, segment, partition); }
  std::string writer() const { return OwnerWriter(segment, partition); }
  // "delays/0-3", for people.
  std::string ToString() const {
    return job + "/" + std::to_string(segment.value()) + "-" + std::to_string(partition.value());
  }
};

}  // namespace millrace
