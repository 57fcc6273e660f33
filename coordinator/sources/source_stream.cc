#include "coordinator/sources/source_stream.h"

#include <algorithm>
#include <vector>

#include "common/bus/subjects.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

std::string IdentityOf(const StreamInfo& stream) { return StrCat(stream.created_ns); }

bool Holds(const StreamConfig& stream, std::string_view subject) {
  return std::any_of(stream.subjects.begin(), stream.subjects.end(),
                     [&](const std::string& held) { return SubjectCovers(held, subject); });
}

absl::StatusOr<InputFile> FindNamed(Bus& bus, const SourceSpec& source) {
  const absl::StatusOr<StreamInfo> stream = bus.GetStream(source.stream);
  if (absl::IsNotFound(stream.status())) {
    return absl::NotFoundError(StrCat("there is no stream ", source.stream,
                                      " — make it, or leave `stream` out and name its subject"));
  }
  if (!stream.ok()) return stream.status();
  const auto& held = stream->config.subjects;
  const bool touches = source.subject.empty() || Holds(stream->config, source.subject) ||
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
  const absl::StatusOr<std::vector<std::string>> names = bus.ListStreams();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsSourceStream(name)) continue;
    const absl::StatusOr<StreamInfo> stream = bus.GetStream(name);
    if (absl::IsNotFound(stream.status())) continue;
    if (!stream.ok()) return stream.status();
    if (Holds(stream->config, spec.source.subject)) return InputFile{name, 0, IdentityOf(*stream)};
  }
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
