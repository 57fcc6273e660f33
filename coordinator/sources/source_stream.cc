#include "coordinator/sources/source_stream.h"

#include <algorithm>
#include <optional>

#include "common/bus/subjects.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/streams/subject_holder.h"

namespace millrace {
namespace {

std::string IdentityOf(const StreamInfo& stream) { return StrCat(stream.created_ns); }

absl::StatusOr<InputFile> FindNamed(Bus& bus, const SourceSpec& source) {
  const absl::StatusOr<StreamInfo> stream = bus.GetStream(source.stream);
  if (absl::IsNotFound(stream.status())) {
    return absl::NotFoundError(StrCat("there is no stream ", source.stream,
                                      " — make it, or leave `stream` out and name its subject"));
  }
  if (!stream.ok()) return stream.status();
  const auto& held = stream->config.subjects;
  const bool touches = source.subject.empty() || HoldsSubject(stream->config, source.subject) ||
                       std::any_of(held.begin(), held.end(), [&](const std::string& subject) {
                         return SubjectCovers(source.subject, subject);
                       });
  if (touches) return InputFile{source.stream, 0, IdentityOf(*stream)};
  return absl::InvalidArgumentError(StrCat("stream ", source.stream, " holds nothing of subject ",
                                           source.subject, " — leave `subject` out for all of the stream"));
}

}  // namespace

absl::StatusOr<InputFile> FindSource(Bus& bus, const JobSpec& spec) {
  if (!spec.source.stream.empty()) return FindNamed(bus, spec.source);
  const absl::StatusOr<std::optional<StreamInfo>> holder = FindHolder(bus, spec.source.subject);
  if (!holder.ok()) return holder.status();
  if (holder->has_value()) return InputFile{(*holder)->config.name, 0, IdentityOf(**holder)};
  return InputFile{SourceStream(spec.name), 0, ""};
}

absl::StatusOr<StreamInfo> CheckSource(Bus& bus, const InputFile& source) {
  absl::StatusOr<StreamInfo> stream = bus.GetStream(source.name);
  if (absl::IsNotFound(stream.status())) {
    return absl::NotFoundError(StrCat("stream ", source.name, " is gone — delete the job, or bring it back"));
  }
  if (!stream.ok() || source.digest.empty() || IdentityOf(*stream) == source.digest) return stream;
  return absl::FailedPreconditionError(
      StrCat("stream ", source.name, " was deleted and made anew — submit the job under another name"));
}

}  // namespace millrace
