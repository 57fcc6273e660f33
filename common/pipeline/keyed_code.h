// The user's code of a `keyed` stage, wherever it runs.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// Not thread-safe.
class KeyedCode {
 public:
  virtual ~KeyedCode() = default;
  // Runs the code, or its on_timer, and says in `call` what it did. False: what it does is not known yet, and
  // the message's Step will come again. INVALID_ARGUMENT: the code failed; other errors end the Step.
  virtual absl::StatusOr<bool> Run(const LuaInput& input, KeyedCall* call) = 0;
  // Whether a timer that it sets has something to run.
  virtual bool has_on_timer() const = 0;
};

// REQUIRES: spec.what is a KeyedStage with Lua code. INVALID_ARGUMENT: it does not compile.
absl::StatusOr<std::unique_ptr<KeyedCode>> MakeLuaKeyedCode(const StageSpec& spec, LuaSandbox* lua,
                                                            StepContext* context);
// The same code in a pool's threads, asked through context->calls.
absl::StatusOr<std::unique_ptr<KeyedCode>> MakePooledKeyedCode(const StageSpec& spec, LuaSandbox* lua,
                                                               StepContext* context);
// REQUIRES: ... of handler processes (docs/handlers.md), asked through context->calls.
absl::StatusOr<std::unique_ptr<KeyedCode>> MakeRemoteKeyedCode(const StageSpec& spec, StepContext* context);

}  // namespace millrace
