#include "coordinator/sinks/target_stream.h"

#include <optional>

#include "common/strings.h"
#include "coordinator/streams/subject_holder.h"

namespace millrace {
namespace {

absl::StatusOr<TargetStream> NamedTarget(Bus& bus, const SinkSpec& sink) {
  const absl::StatusOr<StreamInfo> stream = bus.GetStream(sink.stream);
  if (absl::IsNotFound(stream.status())) {
    return absl::FailedPreconditionError(StrCat("there is no stream ", sink.stream, " — make it"));
  }
  if (!stream.ok()) return stream.status();
  const StreamConfig& config = stream->config;
  if (!sink.subject.empty()) {
    if (HoldsSubject(config, sink.subject))
      return TargetStream{config.name, sink.subject, config.duplicate_window};
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
  const absl::StatusOr<std::optional<StreamInfo>> holder = FindHolder(bus, sink.subject);
  if (!holder.ok()) return holder.status();
  if (holder->has_value()) {
    const StreamConfig& config = (*holder)->config;
    return TargetStream{config.name, sink.subject, config.duplicate_window};
  }
  return absl::FailedPreconditionError(StrCat("no stream holds subject ", sink.subject,
                                              " — make one: without it nobody says that a result arrived"));
}

}  // namespace millrace
