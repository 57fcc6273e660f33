#include "coordinator/leader/cluster_view.h"

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

}  // namespace millrace
