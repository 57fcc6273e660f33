// Finds the fields that aggregates need in a record, all of them in one walk over its row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/frame/frame.h"
#include "common/job/job_spec.h"
#include "common/pipeline/aggregate_state.h"

namespace millrace {

// Not thread-safe. Remembers where a shape has the fields for as long as `frame_serial` stays the same.
class AggregateInputs {
 public:
  explicit AggregateInputs(const std::vector<AggregateColumn>& columns);

  // One input for each column, pointing into the record's bytes. INVALID_ARGUMENT when the value is
  // malformed. Valid until the next call.
  absl::Status Read(const RecordView& record, uint64_t frame_serial);
  absl::Span<const AggregateInput* const> by_column() const { return by_column_; }

 private:
  // A path that is asked for; columns with the same path share it.
  struct Path {
    std::string whole;
    std::string head;  // up to the first dot
  };
  struct Step {
    uint32_t field;  // in the shape
    uint32_t input;
    bool whole;  // the field is the path; otherwise it goes on below it
  };

  void Resolve(const FieldNames& fields);
  absl::Status ReadRow(const RecordView& record);
  absl::Status ReadByPath(const RecordView& record);
  static absl::Status Fill(std::string_view bytes, AggregateInput* input);

  std::vector<Path> paths_;
  std::vector<AggregateInput> inputs_;  // by path; the last one is what count() takes: always present
  std::vector<const AggregateInput*> by_column_;
  std::vector<Step> steps_;  // rising by field
  PackToken token_;          // of a field that is not wanted whole, or not first
  const FieldNames* resolved_ = nullptr;
  uint64_t resolved_serial_ = 0;
};

}  // namespace millrace
