// `ttl`: which keys of a stage nobody has touched for so long that their state goes.
//
// The wheel has at most kSpokes + 1 spokes: times, a sixteenth of the ttl apart, at which the keys noted there
// are looked at. A key that was touched since is noted again at its later time. So a touch writes once a
// spoke and not once a record, a key goes at most a sixteenth of the ttl late, and all of it is a function of
// the log. (Varghese and Lauck, Hashed and Hierarchical Timing Wheels, 1987.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/pipeline/state.h"

namespace millrace {

// Rows of its table: k<key> -> when the key is due; w<due><key>: the key is noted there. Its ordered set holds
// the times at which any key is noted. It lies in the State and is committed with it.
//
// Not thread-safe. Errors of all members are the State's.
class StateExpiry {
 public:
  static constexpr int64_t kSpokes = 16;
  // So many keys are looked at in one pass of log time: what is left goes with the next.
  static constexpr size_t kMostKeysAPass = 1 << 16;

  // Without a ttl (InfiniteDuration) no member does anything.
  StateExpiry(absl::Duration ttl, TableId table);

  // The key's state was used, at the State's log time.
  absl::Status Touch(State& state, std::string_view key);
  // The key's state is gone.
  absl::Status Forget(State& state, std::string_view key);
  // Log time has moved on: calls `drop` for each key whose time has come, in order of time and then of key.
  absl::Status PassLogTime(State& state,
                           absl::FunctionRef<absl::Status(std::string_view key, int64_t due_ms)> drop);
  // When PassLogTime has something to look at; kEndOfTime when nothing is left or the input has ended.
  int64_t NextDueMs(State& state) const;

 private:
  bool active() const { return ttl_ms_ > 0; }
  absl::Status Note(State& state, std::string_view due, std::string_view key);
  absl::Status Look(State& state, std::string_view due, std::string_view key,
                    absl::FunctionRef<absl::Status(std::string_view key, int64_t due_ms)> drop);

  int64_t ttl_ms_ = 0;
  int64_t spoke_ms_ = 1;
  TableId table_;
  std::string row_;  // scratch
};

}  // namespace millrace
