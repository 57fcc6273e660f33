// A partition's state in one number: the owner and a replay each take it, and verify compares.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

struct StateDigest {
  uint64_t keys = 0;
  std::string digest;  // 16 hex digits; empty for a job without state
};

// FNV-1a, 64 bits, over each key and its state as JSON in byte order of the key, each followed by a byte
// 0xff: two states with the same digest are taken for the same.
absl::StatusOr<StateDigest> DigestOf(Pipeline& pipeline, State& state);

}  // namespace millrace
