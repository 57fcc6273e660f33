// Results posted to a service in batches: each at least once, and once for a service that knows a batch again by its
// `Idempotency-Key`.
//
// Before a batch is sent, how far the sending is to go is noted at `sink.<uid>.at`, and a range of results is always
// cut into the same batches: whoever has to send again what may have arrived sends the same bytes under the same keys,
// never a batch that overlaps one before. The note is changed only on the note before (the key's revision), so of two
// coordinators that both believe they lead one alone can decide what is sent next; the other finds out before it
// sends, or repeats batches that were noted.
//
// One batch is on its way at a time, and the next follows when it was taken: results of a partition come in order.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/http/http_call.h"
#include "common/http/secret_text.h"
#include "common/job/job_spec.h"
#include "coordinator/sinks/http_batches.h"
#include "coordinator/sinks/outlet.h"

namespace millrace {

// Results that are gathered before the next note, beside what comes within `linger`.
inline constexpr size_t kSinkRoundBatches = 8;
inline constexpr size_t kSinkRoundBytes = 4 << 20;
// Results held while those that an earlier life had noted are read again.
inline constexpr size_t kMaxSinkHeldBytes = 256 << 20;

// A batch that is not taken is sent so often before that is an error of the outlet, which people see. Between two tries
// lies a random part of the pause, which doubles.
inline constexpr int kSinkPostTries = 6;
inline constexpr absl::Duration kFirstSinkPostPause = absl::Milliseconds(200);
inline constexpr absl::Duration kLongestSinkPostPause = absl::Seconds(3);

struct HttpOutletOptions {
  std::string uid;
  HttpSinkSpec sink;
  std::string writer;  // random
  uint64_t seed = 0;
  SecretSource secrets;
};

class HttpOutlet final : public Outlet {
 public:
  // How it reaches the world. Both end early when it is told to stop: CANCELLED.
  class Port {
   public:
    virtual ~Port() = default;
    virtual absl::StatusOr<HttpAnswer> Post(const HttpRequestOut& request) = 0;
    virtual absl::Status Wait(absl::Duration pause) = 0;
  };
  // The bus and the clock outlive it.
  HttpOutlet(HttpOutletOptions options, Bus& keys, std::unique_ptr<Port> port, Clock& clock);

  // FAILED_PRECONDITION: a secret is missing, or all was out before.
  absl::StatusOr<SinkPosition> Begin() override;
  absl::Status Put(PartitionId partition, const RecordView& record) override;
  absl::Status Flush() override { return absl::OkStatus(); }
  bool full() const override;
  absl::Duration commit_interval() const override { return options_.sink.linger; }
  // ABORTED: another writer has noted something. Of a service that asks for a longer wait than a try has, the error
  // says so (PauseOf, common/retry_thread.h).
  absl::Status Commit(const SinkPosition& position) override;
  absl::Status End() override;
  std::string ToString() const override;

 private:
  absl::StatusOr<SinkBatchPosition> Find();
  absl::Status Note(const SinkPosition& position, const SinkPosition& sending);
  absl::Status SendUpTo(const SinkPosition& sending);
  absl::Status Send(const HttpBatch& batch);
  absl::Status Judge(const HttpBatch& batch, const absl::StatusOr<HttpAnswer>& answer) const;
  absl::Duration PauseBefore(int next_try);

  const HttpOutletOptions options_;
  Bus& keys_;
  const std::unique_ptr<Port> port_;
  Clock& clock_;
  std::mt19937_64 random_;
  std::map<std::string, std::string> headers_;  // with secrets
  SinkBatchPosition noted_;
  uint64_t revision_ = 0;                           // of the key, as noted_
  bool resending_ = false;                          // what an earlier life had noted is not all here again
  std::vector<std::deque<HttpBatchLine>> waiting_;  // by partition
  size_t waiting_records_ = 0, waiting_bytes_ = 0;
};

}  // namespace millrace
