#include "coordinator/chaos/recoveries.h"

#include <algorithm>
#include <utility>

namespace millrace::chaos {
namespace {
bool AllOut(const RecordCounts& fed, const RecordCounts& out) {
  for (size_t i = 0; i < fed.size(); ++i) {
    if (out[i] < fed[i]) return false;
  }
  return true;
}
}  // namespace

void Recoveries::Begin(int number, RecordCounts fed, absl::Duration now) {
  if (pending_.empty()) last_look_ = now;
  pending_.push_back({number, std::move(fed), absl::ZeroDuration()});
}

std::vector<Recoveries::Recovered> Recoveries::Look(const RecordCounts& out, bool disturbed,
                                                    absl::Duration now) {
  std::vector<Recovered> recovered;
  const absl::Duration passed = now - last_look_;
  last_look_ = now;
  for (Pending& pending : pending_) {
    if (!disturbed) pending.waited += passed;
    if (AllOut(pending.fed, out)) recovered.push_back({pending.number, pending.waited});
  }
  std::erase_if(pending_, [&](const Pending& pending) { return AllOut(pending.fed, out); });
  return recovered;
}

bool Recoveries::overdue() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [&](const Pending& pending) { return pending.waited > bound_; });
}

}  // namespace millrace::chaos
