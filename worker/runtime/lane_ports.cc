// What lanes ask the runtime for: on their threads, answered by an event to the lane.
#include <utility>

#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "worker/partition/verdict_append.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {

bool WorkerRuntime::MayAct() const {
  return absl::ToInt64Nanoseconds(clock_.Monotonic()) < lease_valid_until_ns_;
}

void WorkerRuntime::WriteCommit(uint32_t lane, uint64_t instance, StateStore& store,
                                std::unique_ptr<FrozenCommit> commit) {
  // The partition, and with it the store, outlives the commit: it is not released while one is under way.
  committer_->Submit(
      [this, lane, instance, &store, commit = std::shared_ptr<FrozenCommit>(std::move(commit))] {
        const absl::Duration began = clock_.Monotonic();
        absl::Status status = commit->Write(store.db());
        lanes_[lane]->Send(CommitWritten{instance, std::move(status), clock_.Monotonic() - began});
      });
}

// Linked where commits are written: what is linked is the last commit, whole.
void WorkerRuntime::LinkCheckpoint(uint32_t lane, uint64_t instance, const CheckpointOwner& owner,
                                   StateStore& store) {
  committer_->Submit([this, lane, instance, owner, &store] {
    absl::StatusOr<LinkedCheckpoint> linked =
        LinkCommit(*data_dir_, owner.partition, owner.epoch, store.db());
    lanes_[lane]->Send(CheckpointLinked{instance, linked.status()});
    if (!linked.ok()) {
      LogWarning("a checkpoint was not made; the one before stands",
                 {{"partition", owner.partition.ToString()}, {"why", linked.status()}});
      return;
    }
    linked->trims_log = owner.trims_log;
    checkpointer_->Submit(*std::move(linked), [this, lane, instance](Checkpointer::Outcome outcome) {
      lanes_[lane]->Send(CheckpointStored{instance, std::move(outcome.stored), outcome.took});
    });
  });
}

void WorkerRuntime::ReadResultTail(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                   const LogTail& tail) {
  const size_t i = instance / kMaxLanes % openers_.size();
  openers_[i]->Submit([this, i, lane, instance, partition, tail] {
    absl::StatusOr<LogTail> read = ReadLogTail(
        *opener_buses_[i], clock_, {partition.result_stream(), tail.last_sequence + 1}, tail.cursors);
    lanes_[lane]->Send(TailRead{instance, std::move(read)});
  });
}

void WorkerRuntime::LookForLaterOwner(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                      Epoch epoch) {
  const size_t i = instance / kMaxLanes % openers_.size();
  std::string later = EpochKey(partition.uid, partition.writer(), epoch.Next());
  openers_[i]->Submit([this, i, lane, instance, key = std::move(later)] {
    const absl::Status there = opener_buses_[i]->GetKey(kEpochsBucket, key).status();
    absl::StatusOr<bool> exists = there.ok();
    if (!there.ok() && !absl::IsNotFound(there)) exists = there;
    lanes_[lane]->Send(LaterOwnerSought{instance, std::move(exists)});
  });
}

void WorkerRuntime::WriteVerdicts(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                  Epoch epoch, const LogTail& tail, std::vector<Verdict> verdicts) {
  recorder_->Submit([this, lane, instance, partition, epoch, tail, verdicts = std::move(verdicts)] {
    WrittenVerdicts written;
    written.tail = tail;
    written.status =
        AppendVerdicts(*recorder_bus_, clock_, partition, epoch, verdicts, &written.tail, &written.written);
    lanes_[lane]->Send(VerdictsWritten{instance, std::move(written)});
  });
}

void WorkerRuntime::ReadAnswers(uint32_t lane, uint64_t instance, const PartitionKey& partition,
                                AnswerReading reading) {
  recorder_->Submit([this, lane, instance, partition, reading = std::move(reading)] {
    lanes_[lane]->Send(
        RecordedAnswersRead{instance, millrace::ReadAnswers(*recorder_bus_, clock_, partition, reading)});
  });
}

void WorkerRuntime::Released(uint64_t instance, const absl::Status& why) {
  inbox_.Send(Gone{instance, why});
  manager_bus_->Wake();
}

}  // namespace millrace
