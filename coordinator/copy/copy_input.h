// The input of a job that is a copy: the records of another job's logs, in the order of merged_logs.h.
//
// A position counts records. It is the same in every reading, so an ingest that was killed goes on at one; the logs
// are read again from their beginning up to there, and passed over, since they alone say how many records that is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/copy/copied_log.h"
#include "coordinator/copy/merged_logs.h"
#include "coordinator/copy/new_key.h"
#include "coordinator/ingest/record_input.h"

namespace millrace {

// Not thread-safe; events come from whoever polls the bus.
class CopyInput final : public RecordInput {
 public:
  // `uid`: of the job that is copied, and `old_keys` how it takes the keys of strangers.
  CopyInput(const std::string& uid, std::vector<CopiedLog> logs, std::unique_ptr<KeyExtractor> old_keys,
            NewKey key, Bus& bus);

  bool Handle(BusEvent& event) override { return merged_.Handle(event); }
  void StartAt(uint64_t position) override { start_ = position; }
  // The streams' identities tell them from others.
  void Expect(std::vector<InputPoint> /*points*/) override {}
  // kRecord, with the time, value and headers that it had, and the broker's time of then where it had none;
  // kBadRecord, its value has no such key, or it is a stranger's that stood in a partition where it did not belong,
  // which the job that is copied has refused; kLine, a stranger's. Before the end, the logs are looked at once more:
  // they may have been deleted and made anew under the reading. Errors: those of MergedLogs::Next; DATA_LOSS, the
  // logs are others by now, or hold less than was taken from them before.
  absl::StatusOr<Event> Next(InputLine* line) override;
  uint64_t position() const override { return position_; }
  std::optional<InputPoint> point() const override { return std::nullopt; }
  std::optional<int64_t> watermark_ms() const override { return merged_.watermark_ms(); }

 private:
  // Goes to the next message that reaches behind start_. kRecord: cursor_ is in it; kLine: it is a stranger's.
  absl::StatusOr<Event> NextMessage();
  // Goes to the next record of the message that is behind start_; false: it has no more.
  absl::StatusOr<bool> NextRecord();
  Event TellRecord(InputLine* line);
  Event TellStranger(InputLine* line);
  absl::StatusOr<Event> Finish();

  const std::vector<CopiedLog> what_;
  Bus& bus_;
  const std::unique_ptr<KeyExtractor> old_keys_;
  NewKey key_;
  MergedLogs merged_;
  uint64_t start_ = 0;
  uint64_t position_ = 0;
  std::optional<FrameView::Cursor> cursor_;  // in the current message
  RecordView record_;
  std::string error_;
};

}  // namespace millrace
