#include "common/pipeline/state_digest.h"

#include <string_view>

#include "absl/strings/str_format.h"
#include "common/fnv.h"

namespace millrace {
namespace {

uint64_t Mix(uint64_t hash, std::string_view bytes) { return Fnv1a64("\xff", Fnv1a64(bytes, hash)); }

}  // namespace

absl::StatusOr<StateDigest> DigestOf(Pipeline& pipeline, State& state) {
  StateDigest result;
  uint64_t hash = kFnv1a64Start;
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
