// Keeps what a Step puts out until it is known that it counts.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "common/pipeline/pipeline.h"

namespace millrace {

// Not thread-safe. Keeps its memory from one message to the next.
class HeldSink final : public StepSink {
 public:
  void Emit(const RecordView& record) override;
  void Reject(const DeadLetter& letter) override;

  // Hands everything on, outputs in their order, and is empty.
  void Release(StepSink& sink);
  void Drop();

 private:
  struct Held {
    RecordView record;  // its key, value and headers lie at `at` in bytes_, one behind the other
    size_t at;
  };
  struct HeldLetter {
    DeadLetter letter;
    std::string key, value;  // what it has views of
  };

  std::string bytes_;
  std::vector<Held> outputs_;
  std::deque<HeldLetter> letters_;
};

}  // namespace millrace
