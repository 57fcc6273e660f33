// An old job in a broker's memory, and what a copy of it is made with.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/job/job_parser.h"
#include "coordinator/copy/copy_input.h"
#include "gtest/gtest.h"
#include "tests/coordinator/copy/old_job.h"

namespace millrace {

class CopyFixture : public testing::Test {
 protected:
  CopyFixture() : admin_(broker_.Connect()), bus_(broker_.Connect()) {}

  OldJob& MakeOld(uint32_t partitions) { return old_.emplace(broker_, partitions); }
  void Wait() { clock_.Advance(absl::Milliseconds(10)); }

  static std::unique_ptr<KeyExtractor> OldKeys() {
    return *KeyExtractor::Create(
        *ParseJob("old", "name: old\nkey: k\nstages:\n  - aggregate: { n: count() }\n"));
  }
  static NewKey Key(const std::string& lua = "") {
    KeySpec after;
    if (!lua.empty()) {
      after.kind = KeySpec::Kind::kLua;
      after.lua = lua;
    }
    return *NewKey::Create(KeySpec(), after);
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> admin_;
  std::unique_ptr<MemoryBus> bus_;
  std::optional<OldJob> old_;
};

}  // namespace millrace
