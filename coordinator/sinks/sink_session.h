// One try at bringing a job's results out: reads its result streams under rule R3, from what the outlet says is
// out, until an error, or until all of a job that has ended is out. Whoever comes after it, here or in another
// coordinator, goes on from the outlet's last commit.
#pragma once

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
#include "common/metrics.h"
#include "coordinator/results/result_cursor.h"
#include "coordinator/sinks/outlet.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

// What owners still wrote when a job was cancelled or has failed comes within this, or stays in the streams.
inline constexpr absl::Duration kSinkSettleTime = absl::Seconds(2);

// Says by `sink.<uid>` why results are not brought out, and leaves the rest of what is said there. Best effort.
void TellSinkTrouble(Bus& bus, const std::string& uid, const std::string& to, std::string_view trouble);

// Uses the bus's Poll. Not thread-safe.
class SinkSession {
 public:
  // All outlive it. `records_out` counts what was committed.
  static absl::StatusOr<std::unique_ptr<SinkSession>> Create(const JobRecord& job, Outlet& outlet, Bus& bus,
                                                             Clock& clock, Counter records_out);

  // A bounded piece of work; waits for a message for at most `wait`. Its error ends the session.
  absl::Status Turn(absl::Duration wait);
  // All is out, and `sink.<uid>.done` says so.
  bool done() const { return done_; }

 private:
  struct Partition {
    PartitionId id;
    StreamSet::Id stream = 0;
    ResultCursor cursor;
    SinkPartition at;
  };
  SinkSession(const JobRecord& job, Outlet& outlet, Bus& bus, Clock& clock, Counter records_out);
  absl::Status Open(const SinkPosition& position);
  absl::Status Take(Partition& partition, const Message& message);
  absl::Status CommitIfDue();
  absl::Status Commit();
  absl::Status LookAtEnd();
  absl::Status LookAtEnds();
  absl::Status Finish();
  void Tell();

  const JobRecord job_;
  Outlet& outlet_;
  Bus& bus_;
  Clock& clock_;
  Counter records_out_;
  StreamSet streams_;
  std::vector<Partition> partitions_;
  std::map<StreamSet::Id, size_t> by_stream_;  // those that have not ended
  uint64_t records_ = 0;                       // in all, with those before this session
  uint64_t committed_records_ = 0;
  std::optional<absl::Duration> dirty_since_;
  absl::Duration look_at_, tell_at_;
  // Of a job that was cancelled or has failed: from when on nothing more is waited for, and what there was then.
  std::optional<absl::Duration> settled_at_;
  std::vector<uint64_t> ends_;
  SinkReport told_;
  bool done_ = false;
};

}  // namespace millrace
