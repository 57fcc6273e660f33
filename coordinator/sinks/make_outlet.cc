#include "coordinator/sinks/make_outlet.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/random_id.h"
#include "coordinator/sinks/file_outlet.h"
#include "coordinator/sinks/stream_outlet.h"

namespace millrace {
namespace {

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

}  // namespace

absl::StatusOr<std::unique_ptr<Outlet>> MakeOutlet(const SinkJob& job, Bus& bus, const BusMaker& connect,
                                                   Clock& clock) {
  if (job.sink.kind == SinkSpec::Kind::kFile) return MakeFileOutlet(job, bus);
  absl::StatusOr<std::unique_ptr<Bus>> publisher = connect();
  if (!publisher.ok()) return publisher.status();
  return std::make_unique<StreamOutlet>(StreamOutletOptions{job.record.uid, job.sink, RandomId()}, bus,
                                        *std::move(publisher), clock);
}

}  // namespace millrace
