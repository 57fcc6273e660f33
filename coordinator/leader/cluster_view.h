// The three buckets that say how the cluster stands, followed together.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/bus/bus.h"
#include "common/cluster/key_view.h"
#include "common/cluster/numbered_key.h"

namespace millrace {

using Entries = std::map<std::string, KeyValue, std::less<>>;  // a bucket, as KeyView holds it

// Not thread-safe: belongs to whoever polls the bus.
class ClusterView {
 public:
  explicit ClusterView(Bus& bus);

  // True when the event belonged to one of the views.
  bool Handle(const BusEvent& event);

  const KeyView& jobs() const { return jobs_; }
  const KeyView& workers() const { return workers_; }
  const KeyView& assignments() const { return assignments_; }

 private:
  KeyView jobs_;
  KeyView workers_;
  KeyView assignments_;
};

// A bucket's entries as they stood at one moment, for other threads.
struct ClusterSnapshot {
  Entries jobs;
  Entries workers;
  Entries assignments;
};

// The entry, unless it is absent or deleted.
const KeyValue* FindEntry(const Entries& entries, std::string_view key);

}  // namespace millrace
