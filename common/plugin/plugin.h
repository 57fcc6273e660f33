// A shared library that does a stage's work (docs/plugins.md, sdk/cpp).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

struct millrace_plugin;

namespace millrace {

inline constexpr size_t kMaxPluginBytes = 256 << 20;

// Loaded once and never unloaded: what it has left in its process (statics, names of types) cannot be taken back. Immutable,
// so thread-safe; instances of its code are not (plugin_instance.h).
class Plugin {
 public:
  enum class Kind { kKeyed, kFlatMap };

  // Loads the library that the bytes are, from a copy of its own: a file that is written over meanwhile changes nothing.
  // Handlers for signals are set, so that a crash of its code can be told from others (crash_guard.h).
  // FAILED_PRECONDITION, one line: they are no library, or none for this version of the interface.
  static absl::StatusOr<std::shared_ptr<const Plugin>> Load(const std::string& name, std::string_view bytes);

  const std::string& name() const { return name_; }
  Kind kind() const;
  const millrace_plugin& functions() const { return *functions_; }

 private:
  Plugin(std::string name, const millrace_plugin* functions)
      : name_(std::move(name)), functions_(functions) {}

  const std::string name_;
  const millrace_plugin* const functions_;
};

}  // namespace millrace
