// A call of a handler, and what came of it: what crosses between a stage and the handlers of its pool.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "common/handler/protocol.h"
#include "common/ids.h"
#include "common/job/job_spec.h"

namespace millrace {

// Which stage of which job the calls are of: each has a pool of its own in a worker.
struct HandlerStage {
  // Empty: threads of this process run `lua`. Of a service: kHttpEndpoint and the stage's name.
  std::string endpoint;
  std::string job, uid, name;
  HandlerMode mode = HandlerMode::kKeyed;
  absl::Duration timeout;
  uint32_t concurrency = 0;  // threads; of processes, batches that are out at once: 0 for any number
  CallOrder ordered = CallOrder::kKey;
  std::shared_ptr<const StageSpec> lua = nullptr;
  std::string code = {};  // all of `lua`, as text: what tells its pool from that of other code

  // Calls are requests to a service, and what it answers is written into the partition's verdict stream before it
  // counts; null: they are not.
  std::shared_ptr<const CallStage> http = nullptr;

  bool is_recorded() const { return http != nullptr; }
  // Its code is Lua, in this process: whether a call fails follows from what it was given.
  bool is_ours() const { return lua != nullptr; }
};

inline constexpr std::string_view kHttpEndpoint = "http ";

// Which unit of a Step a call is of.
struct CallPlace {
  uint64_t asker = 0;  // as in HandlerCall
  SegmentId segment;
  PartitionId partition;
  Offset offset;
  uint32_t record = 0;  // its position, as in StepUnit
};

inline constexpr std::string_view kNoPackedState = "\xc0";  // nil: the key has none

struct HandlerCall {
  uint64_t asker = 0;   // whose call it is: calls of different askers have nothing in common
  uint64_t serial = 0;  // the asker's number for it; no other call of the asker has it
  bool is_timer = false;
  bool ending = false;   // the input has ended
  bool suspect = false;  // its handler was lost, or lied, when it was alone: to go out alone again
  std::string key;
  // As a batch has them: value, time_ms, headers, label. Of a stage of HTTP calls: an HttpCallRequest.
  std::string packed;
  // The key's state, packed (nil: none); nullopt: what the call `after` of the same key leaves.
  std::optional<std::string> state;
  uint64_t after = 0;
  CallPlace place;
  uint32_t nth = 0;  // which of the unit's calls of this stage
};

struct HandlerOutput {
  std::string_view value;  // packed
  std::optional<std::string_view> key;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HandlerTimer {
  bool event_time = false;
  int64_t ms = 0;  // a delay in log time, or an event time
};

struct CallOutcome {
  enum class Kind {
    kDone,
    kFailed,  // the handler says so: `why`
    kLost,    // it was alone at a handler that was lost or lied: `why`
    kVoid,  // it has not run: a call before it of its key failed or was lost, or that one is not known here any
            // more
  };
  Kind kind = Kind::kDone;
  std::string why;
  std::shared_ptr<const std::string> message;  // what the views below lie in
  std::optional<std::string_view> state;       // packed, nil: none any more; nullopt: as it was
  absl::InlinedVector<HandlerOutput, 1> outputs;
  std::vector<HandlerTimer> timers;
};

struct CallAnswer {
  uint64_t asker = 0;
  uint64_t serial = 0;
  CallOutcome outcome;
};

}  // namespace millrace
