#include "common/bus/streams_made.h"

namespace millrace {

void StreamsMade::Note(const std::string& stream, absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  if (seen_at_.size() >= kMaxStreamsMade && !seen_at_.contains(stream)) seen_at_.clear();
  seen_at_[stream] = now;
}

void StreamsMade::Forget(const std::string& stream) {
  absl::MutexLock lock(&mutex_);
  seen_at_.erase(stream);
}

bool StreamsMade::Has(const std::string& stream, absl::Duration now) const {
  absl::MutexLock lock(&mutex_);
  const auto found = seen_at_.find(stream);
  return found != seen_at_.end() && now - found->second < kStreamIsMadeFor;
}

}  // namespace millrace
