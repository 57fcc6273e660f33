#include "coordinator/sinks/http_outlet.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/failpoint.h"
#include "common/http/http_verdict.h"
#include "common/names.h"
#include "common/retry_thread.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"

namespace millrace {
namespace {

// Every message up to which `sending` goes has been read.
bool HasReached(const SinkPosition& position, const SinkPosition& sending) {
  for (size_t p = 0; p < sending.partitions.size(); ++p) {
    if (p >= position.partitions.size()) return false;
    if (position.partitions[p].sequence < sending.partitions[p].sequence) return false;
  }
  return true;
}

}  // namespace

HttpOutlet::HttpOutlet(HttpOutletOptions options, Bus& keys, std::unique_ptr<Port> port, Clock& clock)
    : options_(std::move(options)),
      keys_(keys),
      port_(std::move(port)),
      clock_(clock),
      random_(options_.seed) {}

std::string HttpOutlet::ToString() const {
  const std::string& url = options_.sink.service.url;
  return StrCat("service ", url.substr(0, url.find('?')));
}

// At NOT_FOUND nothing was ever noted, or all is out: Begin looks which.
absl::StatusOr<SinkBatchPosition> HttpOutlet::Find() {
  const absl::StatusOr<KeyValue> there = keys_.GetKey(kAssignmentsBucket, SinkAtKey(options_.uid));
  if (there.ok()) {
    revision_ = there->revision;
    return DecodeSinkBatchPosition(there->value);
  }
  if (!absl::IsNotFound(there.status())) return there.status();
  revision_ = 0;
  return SinkBatchPosition();
}

absl::StatusOr<SinkPosition> HttpOutlet::Begin() {
  absl::StatusOr<std::map<std::string, std::string>> headers =
      FillSecretHeaders(options_.sink.service.headers, options_.secrets);
  if (!headers.ok()) return headers.status();
  headers_ = *std::move(headers);
  headers_.try_emplace("Content-Type", ContentTypeOf(options_.sink.format));
  absl::StatusOr<SinkBatchPosition> found = Find();
  if (!found.ok()) return found.status();
  noted_ = *std::move(found);
  const SinkPosition position = noted_.position;
  const SinkPosition sending = noted_.sending;
  resending_ = sending != position;
  if (const absl::Status noted = Note(position, sending); !noted.ok()) return noted;
  // Behind the note: whoever has brought all out says so before the key goes, so it is seen here if the key was gone.
  const absl::Status done = keys_.GetKey(kAssignmentsBucket, SinkDoneKey(options_.uid)).status();
  if (absl::IsNotFound(done)) return position;
  if (!done.ok()) return done;
  static_cast<void>(End());  // what is left of it does no harm: `done` is looked for each time
  return absl::FailedPreconditionError("another coordinator has brought all of them out");
}

absl::Status HttpOutlet::Note(const SinkPosition& position, const SinkPosition& sending) {
  SinkBatchPosition next = {options_.writer, noted_.notes + 1, position, sending};
  const std::string key = SinkAtKey(options_.uid);
  const absl::StatusOr<uint64_t> put =
      revision_ == 0 ? keys_.CreateKey(kAssignmentsBucket, key, Encode(next))
                     : keys_.UpdateKey(kAssignmentsBucket, key, Encode(next), revision_);
  if (absl::IsAborted(put.status()) || absl::IsAlreadyExists(put.status())) {
    return absl::AbortedError("another coordinator brings them out");
  }
  if (!put.ok()) return put.status();
  revision_ = *put;
  noted_ = std::move(next);
  return absl::OkStatus();
}

absl::Status HttpOutlet::Put(PartitionId partition, const RecordView& record) {
  if (waiting_.size() <= partition.value()) waiting_.resize(partition.value() + 1);
  HttpBatchLine line{partition, {record.offset.value(), record.index}, {}};
  AppendResultLine(record, partition, &line.json);
  line.json.pop_back();  // its newline
  ++waiting_records_;
  waiting_bytes_ += line.json.size();
  waiting_[partition.value()].push_back(std::move(line));
  if (waiting_bytes_ <= kMaxSinkHeldBytes) return absl::OkStatus();
  return absl::UnavailableError("some partitions' results come much faster than others': they are read anew");
}

bool HttpOutlet::full() const {
  return waiting_records_ >= kSinkRoundBatches * options_.sink.batch_records ||
         waiting_bytes_ >= kSinkRoundBytes;
}

absl::Status HttpOutlet::Commit(const SinkPosition& position) {
  if (resending_) {
    if (!HasReached(position, noted_.sending)) return absl::OkStatus();  // it is called again with more
    if (const absl::Status sent = SendUpTo(noted_.sending); !sent.ok()) return sent;
    resending_ = false;
    if (const absl::Status noted = Note(noted_.sending, noted_.sending); !noted.ok()) return noted;
  }
  if (waiting_records_ > 0) {
    if (const absl::Status noted = Note(noted_.position, position); !noted.ok()) return noted;
    MILLRACE_FAILPOINT("sink_batch_noted");
    if (const absl::Status sent = SendUpTo(position); !sent.ok()) return sent;
    MILLRACE_FAILPOINT("sink_batch_sent");
  }
  const absl::Status noted = Note(position, position);
  if (noted.ok()) MILLRACE_FAILPOINT("sink_after_position");
  return noted;
}

// Partition after partition: which results these are follows from the note alone, and so do their batches.
absl::Status HttpOutlet::SendUpTo(const SinkPosition& sending) {
  HttpBatcher batcher(options_.sink, [this](const HttpBatch& batch) { return Send(batch); });
  for (size_t p = 0; p < waiting_.size() && p < sending.partitions.size(); ++p) {
    const Mark upto{sending.partitions[p].offset, sending.partitions[p].index};
    while (!waiting_[p].empty() && waiting_[p].front().label < upto) {
      const HttpBatchLine line = std::move(waiting_[p].front());
      waiting_[p].pop_front();
      --waiting_records_;
      waiting_bytes_ -= line.json.size();
      if (const absl::Status added = batcher.Add(line); !added.ok()) return added;
    }
  }
  return batcher.Finish();
}

absl::Status HttpOutlet::Send(const HttpBatch& batch) {
  HttpRequestOut request;
  request.method = "POST";
  request.url = options_.sink.service.url;
  request.headers = headers_;
  request.headers["Idempotency-Key"] = StrCat(options_.uid, ".", batch.first, "-", batch.last);
  request.body = batch.body;
  request.limits.whole = options_.sink.service.timeout;
  for (int tries = 1;; ++tries) {
    const absl::Status taken = Judge(batch, port_->Post(request));
    if (!absl::IsUnavailable(taken) || tries == kSinkPostTries) return taken;
    const absl::Duration asked = PauseOf(taken).value_or(absl::ZeroDuration());
    if (asked > kLongestSinkPostPause) return taken;
    const absl::Status waited = port_->Wait(std::max(asked, PauseBefore(tries)));
    if (!waited.ok()) return waited;
  }
}

absl::Duration HttpOutlet::PauseBefore(int next_try) {
  const absl::Duration longest =
      std::min(kLongestSinkPostPause, kFirstSinkPostPause * (int64_t{1} << (next_try - 1)));
  return longest * std::uniform_real_distribution<double>(0, 1)(random_);
}

absl::Status HttpOutlet::Judge(const HttpBatch& batch, const absl::StatusOr<HttpAnswer>& answer) const {
  if (absl::IsCancelled(answer.status())) return answer.status();
  const HttpVerdict verdict = answer.ok() ? JudgeHttpCode(answer->code) : JudgeHttpError(answer.status());
  if (verdict == HttpVerdict::kTaken) return absl::OkStatus();
  const std::string why = answer.ok() ? HttpAnswerText(*answer) : std::string(answer.status().message());
  const std::string what = StrCat("a batch of ", batch.records, " results from ", batch.first, " on");
  if (verdict == HttpVerdict::kRefused) {
    return absl::FailedPreconditionError(
        StrCat(ToString(), " refuses ", what, ": ", why, " — nothing goes on before it takes that"));
  }
  const absl::Status failed = absl::UnavailableError(StrCat(ToString(), " did not take ", what, ": ", why));
  const std::optional<absl::Duration> wait = answer.ok() ? RetryAfter(*answer, clock_.Now()) : std::nullopt;
  return wait.has_value() ? WithPause(failed, *wait) : failed;
}

absl::Status HttpOutlet::End() { return keys_.DeleteKey(kAssignmentsBucket, SinkAtKey(options_.uid)); }

}  // namespace millrace
