// What `dev` asks of the machine: executables, ports, a lock on the data folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace {

// FAILED_PRECONDITION: neither in PATH nor in the places where Debian puts servers.
absl::StatusOr<std::string> FindNatsServer();
// The executable of that name beside this one. FAILED_PRECONDITION: there is none.
absl::StatusOr<std::string> FindSibling(const std::string& name);

// A port of 127.0.0.1 for a child to listen on: `wanted`, or for 0 a free one. It is only looked at, not held: another
// process may still take it first. FAILED_PRECONDITION when it is taken; `flag` is what to try instead.
absl::StatusOr<uint16_t> PickPort(uint16_t wanted, const std::string& flag);

// What a connection to `host`, an IPv4 address, answers on `port` to `request` (sent if not empty), up to the first `most`
// bytes or the end. UNAVAILABLE: nobody listens, or nothing came in time; INVALID_ARGUMENT: no such address.
absl::StatusOr<std::string> AskPort(const std::string& host, uint16_t port, const std::string& request,
                                    size_t most, absl::Duration timeout);
// The body of a GET that was answered with 200.
absl::StatusOr<std::string> HttpGet(const std::string& host, uint16_t port, const std::string& path);

// A folder that one `dev` at a time uses. Makes it, or for an empty path a temporary one, removed at the end.
class DataFolder {
 public:
  // FAILED_PRECONDITION: another dev uses it, or it cannot be made.
  static absl::StatusOr<DataFolder> Open(const std::string& path);
  ~DataFolder();
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;

  const std::string& path() const { return path_; }

 private:
  enum class AtEnd { kKeep, kRemove };
  DataFolder(std::string path, int lock_fd, AtEnd at_end)
      : path_(std::move(path)), lock_fd_(lock_fd), at_end_(at_end) {}

  std::string path_;
  int lock_fd_;
  AtEnd at_end_;
};

}  // namespace millrace
