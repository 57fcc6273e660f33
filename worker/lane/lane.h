// A lane: one thread's share of the worker's partitions. A partition is on one lane as long as it lives; all
// of its work but waiting for the broker and writing commits is done here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "worker/lane/report_board.h"
#include "worker/lane/watchdog.h"
#include "worker/partition/partition.h"

namespace millrace {

// --- what a lane is told. A lane may be held up by user code for as long as a stage's `timeout`; what waits
// for it then is bounded: messages by its readers' windows, acks by its writers' windows, answers of handlers by
// twice kMaxCallsAsked a partition, commits, tails, verdicts and recorded answers by one of each a partition, questions by kMaxWaitingQuestions, the rest by what the leader changes
// meanwhile.
struct AdoptPartition {
  uint64_t instance;
  std::unique_ptr<OpenedPartition> opened;
  bool paused = false;
  uint64_t state_budget_bytes = 64 << 20;  // as SetStateBudget; the plan may have changed since it was opened
  absl::Duration checkpoint_interval = absl::InfiniteDuration();
  PartitionMetrics metrics = {};
};
struct BusEvents {
  std::vector<BusEvent> events;  // of this lane's readers and cookies; reconnects go to every lane
};
struct CommitWritten {
  uint64_t instance;
  absl::Status status;
  absl::Duration took;
};
struct CheckpointLinked {
  uint64_t instance;
  absl::Status status;
};
struct CheckpointStored {
  uint64_t instance;
  absl::StatusOr<Offset> stored;
  absl::Duration took;
};
struct TailRead {
  uint64_t instance;
  absl::StatusOr<LogTail> tail;
};
struct LaterOwnerSought {
  uint64_t instance;
  absl::StatusOr<bool> exists;
};
// Later versions of what it runs.
struct CodeKnown {
  uint64_t instance;
  SegmentVersions versions;
};
// What handlers answered.
struct CallsAnswered {
  uint64_t instance;
  std::vector<CallAnswer> answers;
};
struct VerdictsWritten {
  uint64_t instance;
  WrittenVerdicts written;
};
struct RecordedAnswersRead {
  uint64_t instance;
  absl::StatusOr<AnswersRead> read;
};
struct PausePartition {
  uint64_t instance;
  bool paused;
};
// See Partition::SetMoves.
struct MovePartition {
  uint64_t instance;
  bool moves;
};
struct ReleasePartition {
  uint64_t instance;
  bool abandon;  // without a last commit: the lease is gone
};
// Asks for state; `answer` gets one JSON document and must only enqueue or send.
struct StateQuery {
  uint64_t instance;
  std::string request;
  std::function<void(std::string)> answer;
};
// The memory that each partition of the worker may take for state.
struct SetStateBudget {
  uint64_t bytes;
};
struct StopLane {};
using LaneEvent =
    std::variant<AdoptPartition, BusEvents, CommitWritten, CheckpointLinked, CheckpointStored, TailRead,
                 LaterOwnerSought, CodeKnown, CallsAnswered, VerdictsWritten, RecordedAnswersRead,
                 PausePartition, MovePartition, ReleasePartition, StateQuery, SetStateBudget, StopLane>;

// Whose last commit a checkpoint is made of.
struct CheckpointOwner {
  PartitionKey partition;
  Epoch epoch;
  bool trims_log = false;  // see LinkedCheckpoint
};

// What a lane asks of the rest of the process. No call waits for another thread's work or for an answer of
// the broker; a reader is opened and closed by a message that is only sent (see bus.h for how long that can
// take).
class LanePorts {
 public:
  virtual ~LanePorts() = default;
  virtual ReaderId OpenReader(uint32_t lane, const ReaderOptions& options) = 0;
  virtual void CloseReader(ReaderId reader) = 0;
  virtual void WriteCommit(uint32_t lane, uint64_t instance, StateStore& store,
                           std::unique_ptr<FrozenCommit> commit) = 0;
  virtual void LinkCheckpoint(uint32_t lane, uint64_t instance, const CheckpointOwner& owner,
                              StateStore& store) = 0;
  virtual void ReadResultTail(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                              const LogTail& tail) = 0;
  virtual void LookForLaterOwner(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                 Epoch epoch) = 0;
  virtual std::unique_ptr<StageHandlers> UseHandlers(uint64_t instance, const HandlerStage& stage) = 0;
  virtual void WriteVerdicts(uint32_t lane, uint64_t instance, const PartitionKey& partition, Epoch epoch,
                             const LogTail& tail, std::vector<Verdict> verdicts) = 0;
  virtual void ReadAnswers(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                           AnswerReading reading) = 0;
  virtual bool MayAct() const = 0;
  // The partition is gone from the lane, its database closed. Not OK: it stopped by itself, with this; its
  // last report stays on the board.
  virtual void Released(uint64_t instance, const absl::Status& why) = 0;
};

// Steppable: Handle and Work are all there is; LaneThread runs them on a thread, tests and simulations by
// hand.
class Lane {
 public:
  Lane(uint32_t number, LanePorts& ports, Bus& bus, Clock& clock, ReportBoard& board, Watchdog& watchdog);
  ~Lane();

  void Handle(LaneEvent event);
  // One turn for every partition to which something happened. True when there is more to do at once.
  bool Work();
  // Deadlines of all of them.
  void Tick();
  size_t partitions() const { return partitions_.size(); }

 private:
  struct Hosted;

  void Adopt(AdoptPartition event);
  void TakeVerdicts(VerdictsWritten event);
  void HandleBus(BusEvent event);
  void Answer(const StateQuery& query);
  // Calls `tell` for the partition, if it is still here, and sees what came of it.
  template <typename Tell>
  void With(uint64_t instance, Tell tell);
  template <typename Tell>
  void WithAll(Tell tell);
  // It has something to do: the next turn is also its own.
  void Wake(Hosted& hosted);
  bool WarmUp();
  absl::Duration TickInterval() const;
  // Gives it up when it has stopped by itself, and drops it when it is released; `hosted` may be gone then.
  void Settle(Hosted& hosted);
  void PublishReport(Hosted& hosted);

  const uint32_t number_;
  LanePorts& ports_;
  Bus& bus_;
  Clock& clock_;
  ReportBoard& board_;
  Watchdog& watchdog_;
  std::map<uint64_t, std::unique_ptr<Hosted>> partitions_;  // by instance
  std::map<ReaderId, Hosted*> by_reader_;
  std::vector<uint64_t> awake_;    // instances that have a turn; each once
  std::vector<uint64_t> turn_;     // those that had the last one; its memory is used again
  std::vector<uint64_t> warming_;  // instances that may have state to load ahead
  absl::Duration ticked_at_;
};

inline constexpr absl::Duration kLaneTickInterval = absl::Milliseconds(20);
// Or, with many partitions, so often that each of them takes this much of it: a lane of hundreds would otherwise
// spend its time looking at what waits for nothing.
inline constexpr absl::Duration kTickTimeAPartition = absl::Milliseconds(2);

}  // namespace millrace
