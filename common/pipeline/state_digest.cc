#include "common/pipeline/state_digest.h"

#include <string_view>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

constexpr uint64_t kFnvOffset = 14695981039346656037u;
constexpr uint64_t kFnvPrime = 1099511628211u;

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * kFnvPrime;
  return (hash ^ 0xff) * kFnvPrime;
}

}  // namespace

absl::StatusOr<StateDigest> DigestOf(Pipeline& pipeline, State& state) {
  StateDigest result;
  uint64_t hash = kFnvOffset;
  const absl::Status status =
      pipeline.ScanStateJson(state, {}, [&](std::string_view key, const std::string& json) {
        hash = Mix(Mix(hash, key), json);
        ++result.keys;
        return true;
      });
  if (absl::IsNotFound(status)) return StateDigest();
  if (!status.ok()) return status;
  result.digest = absl::StrFormat("%016x", hash);
  return result;
}

}  // namespace millrace
