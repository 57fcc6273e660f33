#include "common/plugin/plugin.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/plugin/crash_guard.h"
#include "common/strings.h"
#include "sdk/cpp/include/millrace/plugin_abi.h"

namespace millrace {
namespace {

absl::Status RefusePlugin(const std::string& name, std::string_view what, std::string_view why,
                          std::string_view hint) {
  return absl::FailedPreconditionError(StrCat("plugin ", name, " ", what, " — ", why, " — ", hint));
}

// The bytes as a file that nobody else has. It stays open as long as the process: the loader knows libraries by the
// name under which they were loaded, which a next one must not get.
absl::StatusOr<std::string> PrivateFile(const std::string& name, std::string_view bytes) {
  const int fd = memfd_create(name.c_str(), MFD_CLOEXEC);
  bool written = fd >= 0;
  while (written && !bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else {
      written = count < 0 && errno == EINTR;
    }
  }
  if (written) return StrCat("/proc/self/fd/", fd);
  const std::string why = std::strerror(errno);
  if (fd >= 0) close(fd);
  return absl::UnavailableError(
      StrCat("plugin ", name, " cannot be copied into memory — ", why, " — is there room?"));
}

// What the loader says, without the name of the copy.
std::string LoaderError(const std::string& path) {
  const char* const error = dlerror();
  std::string text = error == nullptr ? "no reason is given" : error;
  if (text.starts_with(path + ": ")) text.erase(0, path.size() + 2);
  return text;
}

absl::Status CheckTable(const std::string& name, const millrace_plugin* table) {
  if (table == nullptr) {
    return RefusePlugin(name, StrCat("has nothing in its ", MILLRACE_PLUGIN_ENTRY), "it answered null",
                        "make it with MILLRACE_PLUGIN of <millrace/plugin.h>");
  }
  if (table->abi != MILLRACE_PLUGIN_ABI) {
    return RefusePlugin(name, StrCat("is made for version ", table->abi, " of the plugin interface"),
                        StrCat("this release has version ", MILLRACE_PLUGIN_ABI),
                        "build it again with the <millrace/plugin.h> of this release");
  }
  const bool is_whole = table->size >= sizeof(millrace_plugin) && table->create != nullptr &&
                        table->destroy != nullptr && table->handle != nullptr;
  if (is_whole && (table->kind == MILLRACE_KEYED || table->kind == MILLRACE_FLAT_MAP))
    return absl::OkStatus();
  return RefusePlugin(name, "has a table of functions that is not whole",
                      "create, destroy, handle and a kind that is known are needed",
                      "make it with MILLRACE_PLUGIN of <millrace/plugin.h>");
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Plugin>> Plugin::Load(const std::string& name, std::string_view bytes) {
  const absl::StatusOr<std::string> path = PrivateFile(name, bytes);
  if (!path.ok()) return path.status();
  InstallCrashHandlers();
  void* const library = dlopen(path->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return RefusePlugin(name, "cannot be loaded", LoaderError(*path),
                        "is it a shared library for this machine?");
  }
  void* const symbol = dlsym(library, MILLRACE_PLUGIN_ENTRY);
  if (symbol == nullptr) {
    return RefusePlugin(name, StrCat("has no function ", MILLRACE_PLUGIN_ENTRY),
                        "it is a library of another kind",
                        "make it with MILLRACE_PLUGIN of <millrace/plugin.h>");
  }
  millrace_plugin_entry_function entry = nullptr;
  static_assert(sizeof(entry) == sizeof(symbol));
  std::memcpy(&entry, &symbol, sizeof(entry));
  const millrace_plugin* const table = entry();
  if (absl::Status status = CheckTable(name, table); !status.ok()) return status;
  return std::shared_ptr<const Plugin>(new Plugin(name, table));
}

Plugin::Kind Plugin::kind() const {
  return functions_->kind == MILLRACE_KEYED ? Kind::kKeyed : Kind::kFlatMap;
}

}  // namespace millrace
