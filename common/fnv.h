// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923): against accidents, not against malice.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

inline constexpr uint64_t kFnv1a64Start = 14695981039346656037u;

// Goes on from `hash`, so that pieces give what the whole gives.
constexpr uint64_t Fnv1a64(std::string_view bytes, uint64_t hash = kFnv1a64Start) {
  constexpr uint64_t kPrime = 1099511628211u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * kPrime;
  return hash;
}

}  // namespace millrace
