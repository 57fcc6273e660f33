// A link whose process dies at a chosen write: from then on nothing of it gets out.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "tests/support/forwarding_bus.h"

namespace millrace {

// Keys are all that a coordinator writes; the rest passes through.
class DyingBus final : public ForwardingBus {
 public:
  using ForwardingBus::ForwardingBus;

  // Dies instead of the write after these.
  void DieAfterWrites(uint64_t writes) { writes_left_ = writes; }

  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override {
    if (Dies()) return Dead();
    return ForwardingBus::CreateKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                  std::string_view value) override {
    if (Dies()) return Dead();
    return ForwardingBus::PutKey(bucket, key, value);
  }
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override {
    if (Dies()) return Dead();
    return ForwardingBus::DeleteKey(bucket, key);
  }

 private:
  bool Dies() {
    if (writes_left_ == 0) return true;
    --writes_left_;
    return false;
  }
  static absl::Status Dead() { return absl::UnavailableError("dead"); }

  uint64_t writes_left_ = std::numeric_limits<uint64_t>::max();
};

}  // namespace millrace
