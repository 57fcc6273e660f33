#include "common/blob/directory_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "common/strings.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr char kAsideFolder[] = ".tmp";
constexpr size_t kReadBytes = 256 << 10;
// A Delete may take an emptied folder away between the moment in which Put makes it and the rename.
constexpr int kMaxRenames = 16;
// A folder that goes away under a walk ends the walk: what lies behind it would be missing from the list.
constexpr int kMaxWalks = 16;

absl::Status FileError(int error, std::string_view doing, std::string_view path) {
  const std::string text = StrCat("cannot ", doing, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return synced ? absl::OkStatus() : FileError(error, "sync", path);
}

class DirectoryStore final : public BlobStore {
 public:
  DirectoryStore(std::string dir, Clock& clock) : dir_(std::move(dir)), clock_(clock) {}

  absl::Status Put(const std::string& name, std::string_view bytes) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    const std::string aside =
        StrCat(dir_, "/", kAsideFolder, "/", ::getpid(), "-", absl::ToUnixNanos(clock_.Now()), "-", ++puts_);
    absl::Status status = WriteAside(aside, bytes);
    if (status.ok()) status = Publish(aside, Path(name));
    if (!status.ok()) ::unlink(aside.c_str());
    return status;
  }

  absl::Status Get(const std::string& name, const Sink& sink) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    const int fd = ::open(Path(name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FileError(errno, "read", Path(name));
    const absl::Cleanup close = [fd] { ::close(fd); };
    std::string buffer(kReadBytes, '\0');
    while (true) {
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError(errno, "read", Path(name));
      if (got == 0) return absl::OkStatus();
      if (absl::Status status = sink({buffer.data(), static_cast<size_t>(got)}); !status.ok()) return status;
    }
  }

  absl::StatusOr<BlobInfo> Head(const std::string& name) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    struct stat found;
    if (::stat(Path(name).c_str(), &found) != 0) return FileError(errno, "look at", Path(name));
    if (!S_ISREG(found.st_mode)) return absl::NotFoundError(StrCat(Path(name), " is not a file"));
    return BlobInfo{name, static_cast<uint64_t>(found.st_size)};
  }

  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) override {
    std::vector<BlobInfo> found;
    std::error_code error;
    for (int walks = 0; walks < kMaxWalks; ++walks) {
      found.clear();
      error = Walk(prefix, &found);
      if (error.value() != ENOENT) break;
    }
    if (error.value() == ENOENT) return absl::UnavailableError(StrCat("cannot list ", dir_, ": it changes"));
    if (error) return FileError(error.value(), "list", dir_);
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return found;
  }

  absl::Status Delete(const std::string& name) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    if (::unlink(Path(name).c_str()) != 0 && errno != ENOENT) {
      return FileError(errno, "delete", Path(name));
    }
    // Folders go with their last object; one that is not empty stays by itself.
    for (fs::path folder = fs::path(name).parent_path(); !folder.empty(); folder = folder.parent_path()) {
      if (::rmdir(Path(folder.native()).c_str()) != 0) break;
    }
    return absl::OkStatus();
  }

  absl::Status Tidy(absl::Duration age) override {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(StrCat(dir_, "/", kAsideFolder), error)) {
      struct stat found;
      if (::stat(entry.path().c_str(), &found) != 0) continue;
      if (clock_.Now() - absl::TimeFromTimespec(found.st_mtim) > age) ::unlink(entry.path().c_str());
    }
    return error ? FileError(error.value(), "list", dir_) : absl::OkStatus();
  }

  std::string ToString() const override { return StrCat("file://", dir_); }

 private:
  std::string Path(const std::string& name) const { return StrCat(dir_, "/", name); }

  // A folder that is not there at all has nothing in it, and is no error.
  std::error_code Walk(const std::string& prefix, std::vector<BlobInfo>* found) const {
    std::error_code error;
    fs::recursive_directory_iterator entry(StrCat(dir_, "/", prefix), error), end;
    if (error.value() == ENOENT) return {};
    while (!error && entry != end) {
      std::error_code vanished;  // an entry may be deleted while it is looked at
      if (entry->path().filename().native().front() == '.') {
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file(vanished)) {
        const uint64_t bytes = entry->file_size(vanished);
        if (!vanished) found->push_back({entry->path().lexically_relative(dir_).string(), bytes});
      }
      entry.increment(error);
    }
    return error;
  }

  absl::Status WriteAside(const std::string& aside, std::string_view bytes) {
    const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return FileError(errno, "write", aside);
    absl::Status status = WriteAll(fd, bytes, aside);
    if (status.ok() && ::fsync(fd) != 0) status = FileError(errno, "sync", aside);
    if (::close(fd) != 0 && status.ok()) status = FileError(errno, "close", aside);
    return status;
  }

  // A folder that was made is there after a power cut only when its parents know of it.
  absl::Status SyncFolders(fs::path folder, bool with_parents) {
    absl::Status status = SyncFolder(folder);
    while (status.ok() && with_parents && folder.native().size() > dir_.size()) {
      folder = folder.parent_path();
      status = SyncFolder(folder);
    }
    return status;
  }

  absl::Status Publish(const std::string& aside, const std::string& path) {
    const std::string folder = fs::path(path).parent_path();
    for (int tries = 1;; ++tries) {
      std::error_code error;
      const bool made = fs::create_directories(folder, error);
      if (error) return FileError(error.value(), "make the folder", folder);
      if (::rename(aside.c_str(), path.c_str()) == 0) return SyncFolders(folder, made);
      if (errno != ENOENT || tries == kMaxRenames) return FileError(errno, "write", path);
    }
  }

  const std::string dir_;
  Clock& clock_;
  inline static std::atomic<uint64_t> puts_{0};  // of the process: names aside must not meet
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenDirectoryStore(const std::string& dir, Clock& clock) {
  std::error_code error;
  const fs::path path = fs::absolute(dir, error).lexically_normal();
  if (!error) fs::create_directories(path / kAsideFolder, error);
  if (error) return FileError(error.value(), "make the folder", dir);
  std::string text = path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return std::make_unique<DirectoryStore>(std::move(text), clock);
}

}  // namespace millrace
