// User code in Lua, fenced in: it sees the record and pure functions (lua_builtins.h), its memory is bounded,
// and nothing that it does is remembered from one call to the next, except `state`.
//
// LuaJIT's compiler is off: compiled traces may round `x ^ y` differently than the interpreter, and when a
// trace is compiled depends on what ran before, so that a restart would not repeat itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/job/job_spec.h"
#include "common/pipeline/lua_chunk.h"
#include "common/pipeline/lua_inputs.h"

namespace millrace {

// What a keyed chunk is given besides, and what it did.
struct KeyedCall {
  struct Emitted {
    std::string packed;
    bool has_key = false;
    std::string key;
    std::vector<std::pair<std::string, std::string>> headers;  // in byte order of the name
  };
  struct TimerRequest {
    bool event_time = false;
    int64_t ms = 0;  // a delay in log time, or an event time
  };

  bool on_timer = false;
  bool ending = false;           // the input has ended
  std::string_view state;        // packed; empty: none yet
  std::string new_state;         // packed; empty: `state` is nil now
  std::vector<Emitted> emitted;  // the first `emitted_count`; the rest is spare memory
  size_t emitted_count = 0;
  std::vector<TimerRequest> timers;
};

inline constexpr size_t kMaxEmitsPerCall = 100'000;
inline constexpr size_t kMaxTimersPerCall = 10'000;

// Owns a Lua state and the chunks compiled into it. Not thread-safe.
class LuaSandbox {
 public:
  using ChunkId = size_t;

  static absl::StatusOr<std::unique_ptr<LuaSandbox>> Create(size_t memory_bytes);
  ~LuaSandbox();
  LuaSandbox(const LuaSandbox&) = delete;
  LuaSandbox& operator=(const LuaSandbox&) = delete;

  // Expressions that are evaluated in one call. `name` and the line in the job file ("filter-1, line 7") lead
  // every message. INVALID_ARGUMENT, one line, when one does not compile.
  absl::StatusOr<ChunkId> AddExpressions(std::string name, const CodePlace& place,
                                         std::vector<std::string> expressions);
  absl::StatusOr<ChunkId> AddKeyed(std::string name, const CodePlace& place, const std::string& code);
  bool has_on_timer(ChunkId chunk) const { return chunks_[chunk].keyed.has_on_timer; }

  // Each returns INVALID_ARGUMENT, one line, when the code fails; what was asked for is then unspecified.

  // Whether the first expression is neither false nor nil.
  absl::StatusOr<bool> Test(ChunkId chunk, const LuaInput& input);
  // Appends one packed value for each expression.
  absl::Status Evaluate(ChunkId chunk, const LuaInput& input, std::string* packed);
  // The first expression is a list or nil: appends its items, and to `ends` where each ends.
  absl::Status EvaluateList(ChunkId chunk, const LuaInput& input, std::string* packed,
                            std::vector<size_t>* ends);
  // Runs a keyed chunk, or its on_timer.
  absl::Status Run(ChunkId chunk, const LuaInput& input, KeyedCall* call);

  size_t memory_used() const;

 private:
  struct Engine;   // the Lua state with its allocator
  struct Request;  // one call, as it goes through lua_cpcall

  explicit LuaSandbox(size_t memory_bytes);
  absl::StatusOr<ChunkId> Add(LuaChunk chunk);
  absl::Status Start();
  absl::Status Call(Request* request);
  absl::Status CallOnce(Request* request, bool* out_of_memory);

  const size_t memory_bytes_;
  std::vector<LuaChunk> chunks_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace millrace
