// Which streams are known to be there whole. nats-server 2.9 lists a stream before it has a place for its messages, and
// dies of a request for one then; what it says of such a stream is that it was created in the year 1
// (nats-server 2.9.10: addStreamWithAssignment, jsMsgGetRequest).
#pragma once

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace millrace {

// A stream may be deleted and made anew under its name: what was seen holds for so long.
inline constexpr absl::Duration kStreamIsMadeFor = absl::Seconds(1);
inline constexpr size_t kMaxStreamsMade = 4096;  // known at once; then it begins anew

// Thread-safe.
class StreamsMade {
 public:
  // The server has said when it was created. `now`: a monotonic clock's.
  void Note(const std::string& stream, absl::Duration now);
  void Forget(const std::string& stream);
  bool Has(const std::string& stream, absl::Duration now) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, absl::Duration> seen_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
