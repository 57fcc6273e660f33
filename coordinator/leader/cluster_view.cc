#include "coordinator/leader/cluster_view.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {

ClusterView::ClusterView(Bus& bus)
    : jobs_(bus, kJobsBucket), workers_(bus, kWorkersBucket), assignments_(bus, kAssignmentsBucket) {}

bool ClusterView::Handle(const BusEvent& event) {
  return jobs_.Handle(event) || workers_.Handle(event) || assignments_.Handle(event);
}

const KeyValue* FindEntry(const Entries& entries, std::string_view key) {
  const auto found = entries.find(key);
  return found == entries.end() || found->second.deleted ? nullptr : &found->second;
}

std::optional<NumberedKey> ParseNumberedKey(std::string_view key, std::string_view prefix, int numbers) {
  if (!key.starts_with(prefix)) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(ToAbsl(key.substr(prefix.size())), '.');
  NumberedKey parsed;
  if (static_cast<int>(parts.size()) != numbers) return std::nullopt;
  if (!absl::SimpleAtoi(parts[0], &parsed.first)) return std::nullopt;
  if (numbers == 2 && !absl::SimpleAtoi(parts[1], &parsed.second)) return std::nullopt;
  return parsed;
}

}  // namespace millrace
