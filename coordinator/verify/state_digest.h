// A partition's state in one number, for comparing what a replay gave with what the owner has.
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
// 0xff: what an owner answers to {"verb":"digest"}.
absl::StatusOr<StateDigest> DigestOf(Pipeline& pipeline, State& state);

}  // namespace millrace
