#include "coordinator/sinks/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/failpoint.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr int kMaxLockTries = 16;  // the file is replaced just while it is opened
constexpr size_t kReadPieceBytes = 64 << 10;
constexpr size_t kMaxLockedFileBytes = 16 << 20;
constexpr mode_t kFileMode = 0644;

absl::Status Failed(std::string_view doing, std::string_view path) {
  const int error = errno;
  const std::string text = StrCat("cannot ", doing, " ", path, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::FailedPreconditionError(text);
}

// A file that was made or renamed is there after a power cut only when its folder knows of it.
absl::Status SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  const OwnedFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return Failed("open the folder", folder);
  return ::fsync(fd.get()) == 0 ? absl::OkStatus() : Failed("sync the folder", folder);
}

// Whether the path still leads to this file. nullopt: it leads nowhere.
absl::StatusOr<std::optional<bool>> IsStillAt(int fd, const std::string& path) {
  struct stat opened, there;
  if (::fstat(fd, &opened) != 0) return Failed("look at", path);
  if (::stat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return std::optional<bool>();
    return Failed("look at", path);
  }
  return std::optional<bool>(opened.st_dev == there.st_dev && opened.st_ino == there.st_ino);
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<OwnedFd> OpenRegularFile(const std::string& path, OpenMode mode) {
  const bool may_make = mode == OpenMode::kNewOrEmpty;
  // Without O_NONBLOCK a pipe would wait here for its reader.
  OwnedFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | (may_make ? O_CREAT : 0), kFileMode));
  if (!file.is_open()) return Failed("write", path);
  struct stat found;
  if (::fstat(file.get(), &found) != 0) return Failed("look at", path);
  if (!S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(
        StrCat(path, " is no regular file — what was written there could not be taken back after a crash"));
  }
  if (!may_make) return file;
  if (found.st_size > 0) return absl::AlreadyExistsError(StrCat(path, " is there already, and not empty"));
  if (const absl::Status synced = SyncFolderOf(path); !synced.ok()) return synced;
  return file;
}

absl::StatusOr<uint64_t> FileLength(const OwnedFd& file, const std::string& path) {
  struct stat found;
  if (::fstat(file.get(), &found) != 0) return Failed("look at", path);
  return static_cast<uint64_t>(found.st_size);
}

absl::Status WriteAt(const OwnedFd& file, const std::string& path, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("write", path);
    offset += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status CutTo(const OwnedFd& file, const std::string& path, uint64_t length) {
  return ::ftruncate(file.get(), static_cast<off_t>(length)) == 0 ? absl::OkStatus() : Failed("cut", path);
}

absl::Status SyncFile(const OwnedFd& file, const std::string& path) {
  return ::fsync(file.get()) == 0 ? absl::OkStatus() : Failed("sync", path);
}

absl::StatusOr<LockedFile> LockedFile::Open(const std::string& path, bool may_make) {
  for (int tries = 0; tries < kMaxLockTries; ++tries) {
    OwnedFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | (may_make ? O_CREAT : 0), kFileMode));
    if (!fd.is_open()) return Failed("open", path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Failed("lock", path);
      return absl::UnavailableError(StrCat("another process has locked ", path));
    }
    // Whoever replaced the file between has the lock on what is there now.
    const auto still = IsStillAt(fd.get(), path);
    if (!still.ok()) return still.status();
    if (still->value_or(false)) return LockedFile(path, std::move(fd));
  }
  return absl::UnavailableError(StrCat("another process replaces ", path, " all the time"));
}

absl::StatusOr<std::string> LockedFile::Read() const {
  std::string text;
  std::array<char, kReadPieceBytes> piece;
  while (true) {
    const ssize_t got = ::pread(fd_.get(), piece.data(), piece.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read", path_);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
    if (text.size() > kMaxLockedFileBytes)
      return absl::FailedPreconditionError(StrCat(path_, " is too long"));
  }
}

absl::Status LockedFile::Replace(std::string_view text) {
  const std::string aside = path_ + ".new";
  OwnedFd next(::open(aside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!next.is_open()) return Failed("write", aside);
  if (::flock(next.get(), LOCK_EX | LOCK_NB) != 0) return Failed("lock", aside);
  absl::Status status = WriteAt(next, aside, 0, text);
  if (status.ok()) status = SyncFile(next, aside);
  if (!status.ok()) return status;
  MILLRACE_FAILPOINT("sink_before_rename");
  if (::rename(aside.c_str(), path_.c_str()) != 0) return Failed("replace", path_);
  fd_ = std::move(next);
  return SyncFolderOf(path_);
}

absl::Status LockedFile::Remove() {
  ::unlink((path_ + ".new").c_str());  // of one that died before its rename
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return Failed("remove", path_);
  return SyncFolderOf(path_);
}

}  // namespace millrace
