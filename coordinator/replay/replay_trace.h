// Watches a partition's replay unit by unit: what came in, what it did to the key's state, what it put out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/verify/partition_replay.h"

namespace millrace {

// One unit, as text that outlives the Step. Members of JSON objects come as `"name":value`.
struct ReplayedUnit {
  StepUnit::Kind kind = StepUnit::Kind::kRecord;
  Offset offset;
  uint32_t index = 0;  // position in the frame; what is due counts on behind its last record
  std::string key;
  std::string value_member;  // empty where there is no value
  int64_t time_ms = kNoTime;
  std::string before, after;          // the key's state as JSON; empty: none
  std::vector<std::string> outputs;   // result lines, with their labels
  std::vector<std::string> rejected;  // JSON objects: stage, error, attempts
  std::string fails_job;              // why, where the record fails the job
};

// Which units are wanted. Offsets are inclusive.
struct ReplayFilter {
  uint64_t from = 0;
  uint64_t to = UINT64_MAX;
  std::optional<std::string> key;
};

// The sink and the observer of one replay. Units that are not wanted cost nothing but the look at their key.
// Not thread-safe.
class ReplayTrace : public StepSink, public UnitObserver {
 public:
  using Visit = std::function<void(const ReplayedUnit&)>;
  ReplayTrace(ReplayFilter filter, Visit visit) : filter_(std::move(filter)), visit_(std::move(visit)) {}

  // REQUIRES: called before the first step. `replay` outlives the steps.
  void Watch(PartitionReplay* replay) { replay_ = replay; }

  void Begin(const StepUnit& unit) override;
  void End(const absl::Status& status) override;
  void Emit(const RecordView& record) override;
  void Reject(const DeadLetter& letter) override;

  uint64_t shown() const { return shown_; }

 private:
  bool Wanted(const StepUnit& unit) const;
  std::string StateOf(std::string_view key);

  const ReplayFilter filter_;
  const Visit visit_;
  PartitionReplay* replay_ = nullptr;
  std::optional<ReplayedUnit> unit_;  // the one that runs, where it is wanted
  uint64_t shown_ = 0;
};

// One JSON object, one line, without a newline.
std::string ToJson(const ReplayedUnit& unit);
// A few lines for people, with a newline at the end.
std::string ToText(const ReplayedUnit& unit);

}  // namespace millrace
