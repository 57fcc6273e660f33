// The bytes of aggregate state, for aggregate_state.cc and aggregate_merge.cc alone: the layout that
// aggregate_state.h describes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "common/job/job_spec.h"
#include "common/pipeline/aggregate_number.h"

namespace millrace::aggregate_slot {

inline constexpr size_t kTagAt = 8;            // sum, avg, min, max
inline constexpr size_t kStringLengthAt = 12;  // min, max
inline constexpr size_t kAvgCountAt = 16;
inline constexpr size_t kValueLengthAt = 4;  // first, last
inline constexpr char kHasValue = 1;

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <typename T>
void Store(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

inline AggregateNumber LoadNumber(const char* place) {
  return {static_cast<NumberTag>(place[kTagAt]), Load<uint64_t>(place)};
}
inline void StoreNumber(char* place, const AggregateNumber& number) {
  Store(place, number.bits);
  place[kTagAt] = static_cast<char>(number.tag);
}

// Where a column notes the length of its bytes behind the fixed part; nullptr when it has none by its nature.
inline char* BlobLengthPlace(AggregateFunction function, char* place) {
  switch (function) {
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      return place + kStringLengthAt;
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return place + kValueLengthAt;
    default:
      return nullptr;
  }
}
inline size_t BlobLength(AggregateFunction function, const char* place) {
  const char* const length = BlobLengthPlace(function, const_cast<char*>(place));
  return length == nullptr ? 0 : Load<uint32_t>(length);
}

inline absl::Status NoSuchState() {
  return absl::DataLossError("aggregate state does not have the layout of its columns");
}

}  // namespace millrace::aggregate_slot
