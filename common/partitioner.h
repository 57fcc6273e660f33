// Which partition a key belongs to.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/ids.h"

namespace millrace {

// FNV-1a, 32 bits (Fowler, Noll, Vo; RFC 9923). The NATS server's subject mapping `{{partition(n,token)}}`
// uses the same function over a single token, so that a mapping on the server and this partitioner agree.
constexpr uint32_t Fnv1a32(std::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 16777619u;
  }
  return hash;
}

// REQUIRES: partitions > 0.
constexpr PartitionId PartitionOf(std::string_view key, uint32_t partitions) {
  return PartitionId(Fnv1a32(key) % partitions);
}

}  // namespace millrace
