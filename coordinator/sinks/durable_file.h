// What a sink's file needs of the file system. Every error says what could not be done to which path, and why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace millrace {

// A file descriptor, closed with it.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

enum class OpenMode { kExisting, kNewOrEmpty };

// A regular file, to be written. NOT_FOUND, with kExisting; ALREADY_EXISTS, with kNewOrEmpty: something is in
// it. A file that was made is there after a power cut.
absl::StatusOr<OwnedFd> OpenRegularFile(const std::string& path, OpenMode mode);
absl::StatusOr<uint64_t> FileLength(const OwnedFd& file, const std::string& path);
absl::Status WriteAt(const OwnedFd& file, const std::string& path, uint64_t offset, std::string_view bytes);
absl::Status CutTo(const OwnedFd& file, const std::string& path, uint64_t length);
absl::Status SyncFile(const OwnedFd& file, const std::string& path);

// A small file that belongs to one process at a time, and is replaced as a whole.
class LockedFile {
 public:
  // Made empty when it is not there and `may_make`. NOT_FOUND; UNAVAILABLE: another process has it.
  static absl::StatusOr<LockedFile> Open(const std::string& path, bool may_make);  // NOLINT

  absl::StatusOr<std::string> Read() const;
  // Whatever dies meanwhile, the text before it or this one is there. The lock goes along.
  absl::Status Replace(std::string_view text);
  absl::Status Remove();

 private:
  LockedFile(std::string path, OwnedFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  OwnedFd fd_;
};

}  // namespace millrace
