// The end of the chain: gives each output its label and hands it to the sink.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/pipeline/stage.h"

namespace millrace {

// Holds a record's outputs back until it is known that the record succeeds, where a later stage can still
// fail. Not thread-safe.
class OutputStage final : public Stage {
 public:
  explicit OutputStage(StepContext* context) : Stage(StageSpec(), ErrorPolicy(), context) {}

  // Fails the record when the output is larger than kMaxOutputBytes.
  absl::Status Process(const RecordView& record) override { return Put(record, blamed_); }
  Traits traits() const override { return {.can_fail = true, .runs_code = false}; }
  // What `last` hands on to: an output that is too large is its failure. Without branches one stage has a door,
  // and its outputs come without another call. Without any, the failure is the job's. Owned by this.
  Stage* DoorFor(const Stage* last);

  // Where outputs go from now on, and the index that the next one gets.
  void Begin(StepSink* sink, uint32_t next_index);
  uint32_t next_index() const { return next_index_; }
  enum class Hold { kNo, kYes };
  void set_hold(Hold hold) { hold_ = hold; }

  void Release();  // the record succeeded: what it put out leaves
  void Drop() { held_count_ = 0; }

 private:
  struct Held {
    RecordView view;  // key, value and headers lie in `bytes`
    std::string bytes;
  };
  class Door;
  absl::Status Put(const RecordView& record, const Stage* blamed);
  void Send(RecordView record);
  void Keep(const RecordView& record);

  const Stage* blamed_ = nullptr;
  std::vector<std::unique_ptr<Stage>> doors_;
  StepSink* sink_ = nullptr;
  uint32_t next_index_ = 0;
  Hold hold_ = Hold::kNo;
  std::vector<Held> held_;  // the first held_count_; the rest is spare memory
  size_t held_count_ = 0;
};

}  // namespace millrace
