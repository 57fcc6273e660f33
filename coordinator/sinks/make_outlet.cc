#include "coordinator/sinks/make_outlet.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "common/http/http_transfers.h"
#include "common/http/secret_text.h"
#include "common/random_id.h"
#include "coordinator/sinks/file_outlet.h"
#include "coordinator/sinks/http_outlet.h"
#include "coordinator/sinks/stream_outlet.h"

namespace millrace {
namespace {

constexpr absl::Duration kStopPoll = absl::Milliseconds(200);  // between looks whether it is told to stop

std::string HostName() {
  std::array<char, 256> host = {};
  return gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "?";
}

std::unique_ptr<Outlet> MakeFileOutlet(const SinkJob& job, Bus& bus) {
  FileOutletOptions options;
  options.uid = job.record.uid;
  options.job = job.record.name;
  std::error_code ignored;  // where there is no working folder, opening the file says so
  options.path = std::filesystem::absolute(job.sink.file, ignored).lexically_normal();
  options.rotate_bytes = job.sink.rotate_bytes;
  options.host = HostName();
  options.new_id = RandomId();
  return std::make_unique<FileOutlet>(std::move(options), bus);
}

// Lets go of a request, or of a pause, when `stopping` says so.
class StoppablePort final : public HttpOutlet::Port {
 public:
  StoppablePort(Clock& clock, std::function<bool()> stopping)
      : clock_(clock), stopping_(std::move(stopping)) {}

  absl::StatusOr<HttpAnswer> Post(const HttpRequestOut& request) override {
    if (const absl::Status started = transfers_.Start(kOnlyId, request); !started.ok()) return started;
    while (!stopping_()) {
      std::vector<HttpTransfers::Finished> finished = transfers_.Poll(kStopPoll);
      if (!finished.empty()) return std::move(finished.front().answer);
    }
    transfers_.Cancel(kOnlyId);
    return absl::CancelledError("it was told to stop");
  }
  absl::Status Wait(absl::Duration pause) override {
    const absl::Duration end = clock_.Monotonic() + pause;
    for (absl::Duration left = pause; left > absl::ZeroDuration(); left = end - clock_.Monotonic()) {
      if (stopping_()) return absl::CancelledError("it was told to stop");
      clock_.Sleep(std::min(left, kStopPoll));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr HttpTransfers::Id kOnlyId = 1;
  Clock& clock_;
  const std::function<bool()> stopping_;
  HttpTransfers transfers_;
};

std::unique_ptr<Outlet> MakeHttpOutlet(const SinkJob& job, Bus& bus, Clock& clock,
                                       std::function<bool()> stopping) {
  HttpOutletOptions options;
  options.uid = job.record.uid;
  options.sink = job.sink.http;
  options.writer = RandomId();
  options.seed = std::random_device()();
  options.secrets = SecretOfEnvironment;
  return std::make_unique<HttpOutlet>(std::move(options), bus,
                                      std::make_unique<StoppablePort>(clock, std::move(stopping)), clock);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Outlet>> MakeOutlet(const SinkJob& job, Bus& bus, const BusMaker& connect,
                                                   Clock& clock, std::function<bool()> stopping) {
  if (job.sink.kind == SinkSpec::Kind::kFile) return MakeFileOutlet(job, bus);
  if (job.sink.kind == SinkSpec::Kind::kHttp) return MakeHttpOutlet(job, bus, clock, std::move(stopping));
  absl::StatusOr<std::unique_ptr<Bus>> publisher = connect();
  if (!publisher.ok()) return publisher.status();
  return std::make_unique<StreamOutlet>(StreamOutletOptions{job.record.uid, job.sink, RandomId()}, bus,
                                        *std::move(publisher), clock);
}

}  // namespace millrace
