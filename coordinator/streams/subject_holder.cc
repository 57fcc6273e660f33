#include "coordinator/streams/subject_holder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/bus/subjects.h"

namespace millrace {

bool HoldsSubject(const StreamConfig& stream, std::string_view subject) {
  return std::any_of(stream.subjects.begin(), stream.subjects.end(),
                     [&](const std::string& held) { return SubjectCovers(held, subject); });
}

absl::StatusOr<std::optional<StreamInfo>> FindHolder(Bus& bus, std::string_view subject) {
  const absl::StatusOr<std::vector<std::string>> names = bus.ListStreams();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsSourceStream(name)) continue;
    absl::StatusOr<StreamInfo> stream = bus.GetStream(name);
    if (absl::IsNotFound(stream.status())) continue;  // deleted meanwhile
    if (!stream.ok()) return stream.status();
    if (HoldsSubject(stream->config, subject)) return *std::move(stream);
  }
  return std::nullopt;
}

}  // namespace millrace
