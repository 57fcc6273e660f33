#include "coordinator/sinks/target_stream.h"

#include <algorithm>
#include <vector>

#include "common/bus/subjects.h"
#include "common/strings.h"

namespace millrace {
namespace {

bool Takes(const StreamConfig& stream, std::string_view subject) {
  return std::any_of(stream.subjects.begin(), stream.subjects.end(),
                     [&](const std::string& held) { return SubjectCovers(held, subject); });
}

absl::StatusOr<TargetStream> NamedTarget(Bus& bus, const SinkSpec& sink) {
  const absl::StatusOr<StreamInfo> stream = bus.GetStream(sink.stream);
  if (absl::IsNotFound(stream.status())) {
    return absl::FailedPreconditionError(StrCat("there is no stream ", sink.stream, " — make it"));
  }
  if (!stream.ok()) return stream.status();
  const StreamConfig& config = stream->config;
  if (!sink.subject.empty()) {
    if (Takes(config, sink.subject)) return TargetStream{config.name, sink.subject, config.duplicate_window};
    return absl::FailedPreconditionError(StrCat("stream ", sink.stream, " does not hold subject ",
                                                sink.subject, " — add it to the stream's subjects"));
  }
  const bool is_one =
      config.subjects.size() == 1 && config.subjects[0].find_first_of("*>") == std::string::npos;
  if (is_one) return TargetStream{config.name, config.subjects[0], config.duplicate_window};
  return absl::FailedPreconditionError(
      StrCat("stream ", sink.stream, " holds more than one subject — submit the job with `sink: { stream: ",
             sink.stream, ", subject: … }`"));
}

}  // namespace

absl::StatusOr<TargetStream> FindTarget(Bus& bus, const SinkSpec& sink) {
  if (!sink.stream.empty()) return NamedTarget(bus, sink);
  const absl::StatusOr<std::vector<std::string>> names = bus.ListStreams();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsSourceStream(name)) continue;
    const absl::StatusOr<StreamInfo> stream = bus.GetStream(name);
    if (absl::IsNotFound(stream.status())) continue;
    if (!stream.ok()) return stream.status();
    if (Takes(stream->config, sink.subject)) {
      return TargetStream{name, sink.subject, stream->config.duplicate_window};
    }
  }
  return absl::FailedPreconditionError(StrCat("no stream holds subject ", sink.subject,
                                              " — make one: without it nobody says that a result arrived"));
}

}  // namespace millrace
