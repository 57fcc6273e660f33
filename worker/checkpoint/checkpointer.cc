#include "worker/checkpoint/checkpointer.h"

#include <filesystem>
#include <system_error>

#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {

CheckpointMetrics MakeCheckpointMetrics(Metrics& metrics) {
  CheckpointMetrics made;
  made.checkpoint_seconds = metrics.MakeHistogram(
      "checkpoint_seconds", "From a linked commit to its manifest in the store.", {}, SecondsBuckets());
  made.checkpoint_bytes =
      metrics.MakeCounter("checkpoint_bytes_total", "Bytes of files put into the checkpoint store.");
  made.checkpoint_failures =
      metrics.MakeCounter("checkpoint_failures_total", "Checkpoints that did not come into the store.");
  made.restore_seconds = metrics.MakeHistogram(
      "restore_seconds", "Fetching, checking and opening a checkpoint.", {}, SecondsBuckets());
  return made;
}

Checkpointer::Checkpointer(std::unique_ptr<BlobStore> store, Bus& bus, Clock& clock, const Options& options,
                           const CheckpointMetrics& metrics)
    : store_(std::move(store)),
      bus_(bus),
      clock_(clock),
      options_(options),
      metrics_(metrics),
      tidied_at_(clock.Monotonic()) {}

Checkpointer::~Checkpointer() { Stop(); }

void Checkpointer::Stop() {
  BeginStop();
  thread_.Join();
}

void Checkpointer::SubmitTask(std::function<void()> task) {
  ++pending_;
  thread_.Submit([this, task = std::move(task)] {
    task();
    --pending_;
  });
}

void Checkpointer::Submit(LinkedCheckpoint linked, std::function<void(Outcome)> done) {
  SubmitTask([this, linked = std::move(linked), done = std::move(done)] {
    const absl::Duration began = clock_.Monotonic();
    absl::StatusOr<Offset> stored = Store(linked);
    const absl::Duration took = clock_.Monotonic() - began;
    std::error_code ignored;  // what stays is removed at the next start
    std::filesystem::remove_all(linked.folder, ignored);
    if (stored.ok()) {
      metrics_.checkpoint_seconds.Observe(absl::ToDoubleSeconds(took));
    } else if (!absl::IsCancelled(stored.status())) {
      metrics_.checkpoint_failures.Add();
      LogWarning("a checkpoint was not stored; the one before stands",
                 {{"partition", linked.key.ToString()}, {"why", stored.status()}});
    }
    done({std::move(stored), took});
  });
}

Checkpointer::Owner& Checkpointer::OwnerOf(const LinkedCheckpoint& linked) {
  Owner& owner = owners_[linked.key];
  if (owner.series == nullptr || owner.epoch != linked.epoch) {
    CheckpointSeries::Options options;
    options.engine = options_.engine;
    options.keep = options_.keep;
    options.grace = options_.grace;
    options.stopping = [this] { return stopping_.load(); };
    owner.epoch = linked.epoch;
    owner.series = std::make_unique<CheckpointSeries>(*store_, clock_, linked.key, linked.epoch, options);
    owner.trimmer = std::make_unique<LogTrimmer>(bus_, *store_, linked.key, options_.keep);
  }
  return owner;
}

absl::StatusOr<Offset> Checkpointer::Store(const LinkedCheckpoint& linked) {
  if (stopping_) return absl::CancelledError("the worker stops");
  if (!options_.may_act()) return absl::FailedPreconditionError("this worker's lease is gone");
  Owner& owner = OwnerOf(linked);
  const absl::StatusOr<CheckpointSeries::Stored> stored = owner.series->Store(linked);
  if (!stored.ok()) return stored.status();
  metrics_.checkpoint_bytes.Add(static_cast<double>(stored->put_bytes));
  LogInfo("checkpoint stored", {{"partition", linked.key.ToString()},
                                {"epoch", linked.epoch.value()},
                                {"offset", linked.commit.offset.value()},
                                {"put_bytes", stored->put_bytes}});
  Collect(linked, owner);
  MaybeTidy();
  return stored->id.offset;
}

absl::StatusOr<bool> Checkpointer::IsNewestOwner(const PartitionKey& key, Epoch epoch) {
  const absl::Status later =
      bus_.GetKey(kEpochsBucket, EpochKey(key.uid, key.writer(), epoch.Next())).status();
  if (absl::IsNotFound(later)) return true;
  if (later.ok()) return false;
  return later;
}

// What is not deleted now is deleted after the next checkpoint.
void Checkpointer::Collect(const LinkedCheckpoint& linked, Owner& owner) {
  const auto kept = owner.series->Collect([&] { return IsNewestOwner(linked.key, linked.epoch); });
  if (!kept.ok()) {
    LogWarning("old checkpoints were not deleted; it is tried again",
               {{"partition", linked.key.ToString()}, {"why", kept.status()}});
    return;
  }
  if (!linked.trims_log || !options_.may_act()) return;
  if (absl::Status status = owner.trimmer->Trim(*kept); !status.ok()) {
    LogWarning("the log was not trimmed; it is tried again",
               {{"partition", linked.key.ToString()}, {"why", status}});
  }
}

void Checkpointer::MaybeTidy() {
  if (clock_.Monotonic() - tidied_at_ < kTidyInterval) return;
  tidied_at_ = clock_.Monotonic();
  if (absl::Status status = store_->Tidy(kTidyInterval); !status.ok()) {
    LogWarning("the checkpoint store was not tidied", {{"store", store_->ToString()}, {"why", status}});
  }
}

void Checkpointer::Forget(const DataDir::Partition& partition) {
  SubmitTask([this, partition] {
    std::erase_if(owners_, [&](const auto& entry) {
      const PartitionKey& key = entry.first;
      return DataDir::Partition{key.uid, key.segment, key.partition} == partition;
    });
    const CheckpointLayout layout(partition.uid, partition.segment, partition.partition);
    absl::StatusOr<std::vector<BlobInfo>> objects = store_->List(layout.prefix());
    absl::Status status = objects.status();
    // Backwards: manifests go before files, so that none is left that names what is gone.
    for (size_t i = objects.ok() ? objects->size() : 0; i > 0 && status.ok() && !stopping_; --i) {
      status = store_->Delete((*objects)[i - 1].name);
    }
    if (!status.ok()) {
      LogWarning("checkpoints of a job that was deleted are left in the store",
                 {{"prefix", layout.prefix()}, {"why", status}});
    }
  });
}

}  // namespace millrace
