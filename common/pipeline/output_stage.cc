#include "common/pipeline/output_stage.h"

#include "common/broker_limits.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {

std::string OutputTooLarge(size_t bytes) {
  return StrCat("an output of ", bytes, " bytes is over the limit of ", FormatSize(kMaxOutputBytes),
                " — put out less, or where the bytes can be found");
}

void OutputStage::Begin(StepSink* sink, uint32_t next_index) {
  sink_ = sink;
  next_index_ = next_index;
  held_count_ = 0;
}

class OutputStage::Door final : public Stage {
 public:
  Door(OutputStage* output, const Stage* blamed, StepContext* context)
      : Stage(StageSpec(), ErrorPolicy(), context), output_(output), blamed_(blamed) {}
  absl::Status Process(const RecordView& record) override { return output_->Put(record, blamed_); }
  Traits traits() const override { return output_->traits(); }

 private:
  OutputStage* const output_;
  const Stage* const blamed_;
};

Stage* OutputStage::DoorFor(const Stage* last) {
  if (blamed_ == nullptr) {
    blamed_ = last;
    return this;
  }
  return doors_.emplace_back(std::make_unique<Door>(this, last, &context())).get();
}

absl::Status OutputStage::Put(const RecordView& record, const Stage* blamed) {
  if (const size_t bytes = OutputBytesOf(record); bytes > kMaxOutputBytes) {
    absl::Status too_large = Fail(OutputTooLarge(bytes));
    context().failed_stage = blamed == nullptr ? this : blamed;
    return too_large;
  }
  hold_ == Hold::kYes ? Keep(record) : Send(record);
  return absl::OkStatus();
}

void OutputStage::Send(RecordView record) {
  record.offset = context().offset;
  record.index = next_index_++;
  if (record.time_ms == kNoTime) record.time_ms = context().broker_time_ms;
  ++state().progress().records_out;
  sink_->Emit(record);
}

void OutputStage::Keep(const RecordView& record) {
  if (held_count_ == held_.size()) held_.emplace_back();
  Held& held = held_[held_count_++];
  held.bytes.assign(record.key);
  held.bytes.append(record.value);
  held.bytes.append(record.raw_headers);
  held.view = record;
}

void OutputStage::Release() {
  for (size_t i = 0; i < held_count_; ++i) {
    Held& held = held_[i];
    const std::string_view bytes = held.bytes;
    const size_t key_bytes = held.view.key.size();
    const size_t value_bytes = held.view.value.size();
    held.view.key = bytes.substr(0, key_bytes);
    held.view.value = bytes.substr(key_bytes, value_bytes);
    held.view.raw_headers = bytes.substr(key_bytes + value_bytes);
    Send(held.view);
  }
  held_count_ = 0;
}

}  // namespace millrace
