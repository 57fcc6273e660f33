// One instance of a plugin's code, and its calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_inputs.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/pipeline.h"
#include "common/plugin/plugin.h"
#include "sdk/cpp/include/millrace/plugin_abi.h"

namespace millrace {

inline constexpr size_t kMaxPluginOutputBytes = 64 << 20;  // all that one call puts out and keeps

// Used by one thread at a time; several instances of one plugin may be used at once.
class PluginInstance {
 public:
  // FAILED_PRECONDITION: its constructor failed, with why.
  static absl::StatusOr<std::unique_ptr<PluginInstance>> Create(std::shared_ptr<const Plugin> plugin);
  ~PluginInstance();
  PluginInstance(const PluginInstance&) = delete;
  PluginInstance& operator=(const PluginInstance&) = delete;

  bool has_on_timer() const { return plugin_->functions().on_timer != nullptr; }
  // Runs the code, or its on_timer, and says in `call` what it did; `call->state` and what is above it are given.
  // INVALID_ARGUMENT, one line: the code failed, or put out what is no value; `call` is then unspecified.
  // `observer` (may be null) is told of a crash; whether it takes too long is the caller's.
  absl::Status Run(const LuaInput& input, CallObserver* observer, KeyedCall* call);

 private:
  struct Asked;  // what the code asked for, during one call
  PluginInstance(std::shared_ptr<const Plugin> plugin, void* instance)
      : plugin_(std::move(plugin)), instance_(instance) {}

  absl::Status Describe(const LuaInput& input, const KeyedCall& given, millrace_call* call);

  const std::shared_ptr<const Plugin> plugin_;
  void* const instance_;
  std::vector<millrace_bytes> fields_;  // scratch, as the next
  std::vector<millrace_header> headers_;
};

}  // namespace millrace
