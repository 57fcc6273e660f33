// A partition at work: the shell around the pure Step. Takes the log's messages in order (R3), runs them,
// lets the outputs out (R2) and commits state and offset together (R1). Every method runs on the owner's
// lane; nothing here blocks but the local disk.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/frame/frame.h"
#include "common/frame/input_judge.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/rate_pacer.h"
#include "common/pipeline/state_digest.h"
#include "worker/partition/dead_letter_writer.h"
#include "worker/partition/open_partition.h"
#include "worker/partition/pacer.h"
#include "worker/partition/partition_calls.h"
#include "worker/partition/partition_metrics.h"
#include "worker/partition/result_writer.h"
#include "worker/partition/segment_writer.h"

namespace millrace {

// What a partition asks of the world beyond the bus. Answers come back as Handle calls, on the lane's thread.
class PartitionPorts : public PartitionCallPorts {
 public:
  // Reader whose events reach this partition.
  virtual ReaderId OpenReader(const ReaderOptions& options) = 0;
  virtual void CloseReader(ReaderId reader) = 0;
  // Writes the frozen commit on another thread; HandleCommitted follows.
  virtual void WriteCommit(StateStore& store, std::unique_ptr<FrozenCommit> commit) = 0;
  // Links the last commit's files aside on another thread; HandleCheckpointLinked follows, and, when it went
  // well and the partition is still here, HandleCheckpointStored. `trims_log`: see LinkedCheckpoint.
  virtual void LinkCheckpoint(StateStore& store, bool trims_log) = 0;
  // Reads the result stream on from `tail` on another thread; HandleTail follows.
  virtual void ReadResultTail(const LogTail& tail) = 0;
  // Looks on another thread whether the epoch behind this partition's is claimed; HandleLaterOwner follows.
  virtual void LookForLaterOwner(Epoch epoch) = 0;
  // How many partitions share this one's lane: commits of all of them together are to stay a small part of
  // its time.
  virtual size_t PartitionsOnLane() const = 0;
  // Whether this process may act as owner now: its lease is good.
  virtual bool MayAct() const = 0;
  // How far it has come, each time it comes further: nothing waits for calls of messages up to `applied` any more.
  virtual void ShowProgress(Offset /*applied*/, Offset /*committed*/) {}
};

struct PartitionOptions {
  uint64_t instance = 0;  // unique in the process; cookies carry it: see CookieInstance
  ResultWriterLimits results;
  SegmentWriterLimits next_segment;
  size_t max_frames_a_turn = 32;  // then the lane's other partitions have their turn
  // Results wait so long to share a message with others, and only while more frames are there to run.
  absl::Duration max_pack_delay = absl::Milliseconds(10);
  absl::Duration max_commit_interval = absl::Seconds(60);
  absl::Duration checkpoint_interval = absl::InfiniteDuration();  // infinite: none are made
  size_t lua_memory_bytes = 64 << 20;
  CallObserver* observer = nullptr;  // not owned
  PartitionMetrics metrics;
};

// Invariants (CheckInvariants): offset rises by one message at a time; a commit in progress covers an offset
// that was applied, and is written only when every output and dead letter up to it was acknowledged
// while no later owner was there.
class Partition : private StepSink {
 public:
  static absl::StatusOr<std::unique_ptr<Partition>> Create(std::unique_ptr<OpenedPartition> opened,
                                                           PartitionPorts& ports, Bus& bus, Clock& clock,
                                                           const PartitionOptions& options);
  ~Partition() override;

  const PartitionKey& key() const { return opened_->key; }
  ReaderId reader() const { return reader_; }
  Epoch epoch() const { return opened_->epoch; }

  // --- what happens
  void HandleMessage(Message message);
  void HandleReaderError(const absl::Status& status);
  bool HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence);
  void HandleReconnected();
  void HandleTail(const absl::StatusOr<LogTail>& tail);
  void HandleLaterOwner(const absl::StatusOr<bool>& exists);
  // `took`: how long the write ran.
  void HandleCommitted(const absl::Status& status, absl::Duration took);
  void HandleCheckpointLinked(const absl::Status& status);
  // `stored`: its offset. `took`: the upload.
  void HandleCheckpointStored(const absl::StatusOr<Offset>& stored, absl::Duration took);
  // The versions of the code that the worker knows by now. REQUIRES: none of them may give verdicts where it was
  // opened without (OpenedPartition::gives_verdicts).
  void HandleVersions(SegmentVersions versions);
  void HandleAnswers(std::vector<CallAnswer> answers) { calls().HandleAnswers(std::move(answers)); }
  void HandleVerdicts(WrittenVerdicts written);
  void HandleAnswersRead(absl::StatusOr<AnswersRead> read);
  void SetPaused(bool paused);  // NOLINT: the verb names it
  // Another worker copies this partition's state, and is to own it when it has what was applied by now: that
  // is committed and put into a checkpoint soon, and checkpoints then follow one another more closely.
  void SetMoves(bool moves);  // NOLINT: the verb names it

  // Runs what can run, within a turn's limits. True when there is more to do at once.
  bool Work();
  // Loads state ahead of its use, a little at a time. True when there is more to load.
  bool WarmUp(size_t max_rows);
  void SetStateBudget(uint64_t bytes) { opened_->store->SetBudget(bytes); }
  // Looks after deadlines: acks, commits, ticks, retries.
  void Tick();

  // Stops taking messages, commits what is done, then released() turns true.
  void BeginRelease();
  // At once, without a commit.
  void Abandon(std::string_view reason);
  // Likewise, and counted: the lease is gone, or a later owner is there.
  void Supersede(std::string_view reason);
  bool released() const { return phase_ == Phase::kReleased; }
  // Why it stopped by itself; OK: it has not. Whoever hosts it may open it anew where that can help.
  const absl::Status& stop_cause() const { return stop_cause_; }

  PartitionReport Report() const;
  // `state get` and `state scan`, at the last applied offset.
  absl::StatusOr<std::string> StateJson(std::string_view key);
  absl::Status ScanStateJson(const ScanRange& range,
                             const std::function<bool(std::string_view, std::string)>& visit);
  absl::StatusOr<StateDigest> Digest() { return DigestOf(*pipeline_, *opened_->store); }
  Offset offset() const { return offset_; }
  void CheckInvariants() const;

 private:
  enum class Phase { kRunning, kReleasing, kReleased, kStopped, kFailed };

  // What pipelines work through, one after the other.
  struct Parts {
    std::unique_ptr<RatePacer> pacer;
    std::unique_ptr<PartitionCalls> calls;
  };

  Partition(std::unique_ptr<OpenedPartition> opened, Parts parts, std::unique_ptr<Pipeline> pipeline,
            PartitionPorts& ports, Bus& bus, Clock& clock, const PartitionOptions& options);

  // --- the version of the code (partition_code.cc)
  static absl::StatusOr<std::unique_ptr<Pipeline>> MakePipeline(const SegmentVersions& versions,
                                                                uint64_t version,
                                                                const PartitionOptions& options,
                                                                const Parts& parts);
  const JobSpec& code() const { return opened_->versions[code_version_]->job; }
  bool WaitsForCode(const MessageHeader& header);
  absl::Status SwitchCode(uint64_t version);
  void MaybeMarkCode();
  bool HandleCodeMarked(uint64_t cookie, const absl::Status& status);
  std::vector<StageCount> Inspected() const;

  // StepSink
  void Emit(const RecordView& record) override;
  void Reject(const DeadLetter& letter) override;

  void FollowVerdictStream(const absl::Status& status);

  PartitionCalls& calls() const { return *parts_.calls; }
  bool CanStep() const;
  void GrantBack();
  void FlushResults();
  bool StepOne();
  bool MeasureStep();
  void ShowWaiting();
  absl::StatusOr<bool> Apply(const Message& message);  // false: the message waits for a retry, or for calls
  absl::StatusOr<StepResult> Step(StepInput* input);
  void FinishMessage(const Message& message);
  void MaybeCommit();
  void MaybeWriteCommit();
  void MaybeConfirmEnd();
  // Whether nobody had claimed a later epoch when all that is acknowledged by now had been; asks, and is false
  // until that is known.
  bool IsOwnerOfAcked();
  void MaybeCheckpoint();
  bool IsCheckpointDue(absl::Duration now) const;
  // Whether another thread works on the database.
  bool disk_busy() const { return commit_in_progress_ || linking_checkpoint_; }
  void MaybeTick();
  void MaybeFinishInput();
  void Stop(Phase phase, const absl::Status& why);
  bool completed() const;
  CommitRow MakeCommitRow() const;
  std::unique_ptr<OutputWriter> MakeOutputs();

  std::unique_ptr<OpenedPartition> opened_;
  uint64_t code_version_ = 0;  // in force at offset_; the number in opened_->versions
  const Parts parts_;
  std::unique_ptr<Pipeline> pipeline_;  // of that version
  PartitionPorts& ports_;
  Bus& bus_;
  Clock& clock_;
  const PartitionOptions options_;

  Phase phase_ = Phase::kRunning;
  bool paused_ = false;
  bool abandoned_ = false;  // no more commits
  std::string reason_;
  absl::Status stop_cause_;
  ReaderId reader_ = 0;

  InputJudge input_;
  Offset offset_;  // last applied
  int64_t offset_time_ns_ = 0;
  std::deque<Message> queue_;               // received, not applied; bounded by the reader's window
  uint32_t next_record_ = 0;                // where the front message goes on
  bool retrying_ = false;                   // the front message is applied in part
  std::optional<InputJudge::Taken> front_;  // R3 has taken the front message already
  // The cursors before that, while the message may wait for calls without any effect: a commit stands before it.
  std::optional<WriterCursors> cursors_before_front_;
  absl::Duration retry_at_;
  FrameView frame_;
  absl::Duration tick_sent_at_;
  uint64_t ticks_sent_ = 0;

  uint64_t wanted_version_ = 0;  // of the mark at the front: it waits until the worker knows this version
  uint64_t marked_version_ = 0;  // the log has its mark for sure: applied, or acknowledged to this owner
  std::optional<absl::Duration> mark_sent_at_;  // of the next one, not answered yet
  std::vector<StageCount> inspected_before_;    // by pipelines of versions before

  ResultWriter* results_ = nullptr;  // outputs_, in the last segment: its tail is read back at times
  const std::unique_ptr<OutputWriter> outputs_;
  DeadLetterWriter dead_letters_;
  bool tail_requested_ = false;

  // The commit in progress: frozen, waiting for acks, then on another thread.
  std::unique_ptr<FrozenCommit> frozen_;
  bool commit_in_progress_ = false;
  // What is known of a later owner, since the last acknowledgement that counts.
  enum class Standing { kUnknown, kAsked, kOwner };
  Standing standing_ = Standing::kUnknown;
  absl::Duration ask_standing_at_;
  bool end_confirmed_ = false;  // readers take the end marks, too
  Offset commit_offset_;
  size_t commit_bytes_ = 0;
  Offset committed_offset_;
  int64_t committed_at_ms_ = 0;
  Pacer commit_pace_;  // its cost: lane and committer together
  absl::Duration results_flushed_at_;

  // The checkpoint in progress: linked on another thread, then on its way to the store.
  bool linking_checkpoint_ = false;
  bool checkpoint_in_progress_ = false;
  Offset checkpoint_offset_;  // of the newest in the store
  Pacer checkpoint_pace_;
  bool moves_ = false;
  Offset moves_from_;                // what was applied when it was told so
  bool first_for_move_due_ = false;  // no checkpoint was begun since then
  uint64_t granted_bytes_ = 0;
  uint32_t granted_messages_ = 0;
  PartitionMetrics metrics_;
};

}  // namespace millrace
