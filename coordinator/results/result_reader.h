// A job's results as its streams hold them: every partition's, in partition order, each once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "coordinator/results/result_cursor.h"

namespace millrace {

struct ResultQuery {
  std::optional<uint32_t> partition;  // all of them when absent
  std::optional<std::string> key;
  uint64_t from_offset = 0;  // labels at or behind it
};

// Uses the bus's Poll. Not thread-safe.
class ResultReader {
 public:
  ResultReader(Bus& bus, Clock& clock, const JobRecord& job, ResultQuery query);

  using Visit = std::function<absl::Status(PartitionId, const RecordView&)>;
  // What is there now, partition after partition. An error of `visit` ends it.
  absl::Status ReadAll(const Visit& visit);
  // Everything, and then what comes, as it comes, until every partition wrote its end mark or `over`, asked
  // now and then while nothing comes, says true. `idle` is called when nothing waits: time to flush.
  absl::Status Follow(const Visit& visit, const std::function<absl::StatusOr<bool>()>& over,
                      const std::function<absl::Status()>& idle);

 private:
  std::vector<PartitionId> Partitions() const;
  ResultCursor::Visit Filtered(PartitionId partition, const Visit& visit) const;

  Bus& bus_;
  Clock& clock_;
  const JobRecord job_;
  const ResultQuery query_;
};

}  // namespace millrace
