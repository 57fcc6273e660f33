#include "worker/state/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <system_error>

#include "absl/strings/str_format.h"
#include "common/failpoint.h"
#include "common/strings.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

absl::Status DiskError(int error, std::string_view doing, std::string_view path) {
  const std::string text = StrCat("cannot ", doing, " ", path, " — ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(StrCat(text, " — make room there, or give --data another folder"));
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(StrCat(text, " — give --data a folder that this user may write to"));
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::InvalidArgumentError(StrCat(text, " — give --data the path of a folder"));
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? DiskError(error.value(), "make the folder", path) : absl::OkStatus();
}

std::string HolderOf(int lock_fd) {
  char pid[32];
  const ssize_t size = ::pread(lock_fd, pid, sizeof(pid), 0);
  const std::string_view text(pid, size > 0 ? static_cast<size_t>(size) : 0);
  return std::string(text.substr(0, text.find('\n')));
}

// Also the proof that the folder can be written to.
absl::Status WritePid(int lock_fd, const std::string& path) {
  const std::string pid = StrCat(::getpid(), "\n");
  const ssize_t written = ::pwrite(lock_fd, pid.data(), pid.size(), 0);
  if (written < 0) return DiskError(errno, "write", path);
  if (static_cast<size_t>(written) != pid.size()) return DiskError(ENOSPC, "write", path);
  return ::ftruncate(lock_fd, written) == 0 ? absl::OkStatus() : DiskError(errno, "write", path);
}

// The folder's id; made when there is none. REQUIRES: the lock is held.
absl::StatusOr<std::string> ReadOrMakeId(const std::string& path) {
  constexpr size_t kIdDigits = 16;
  std::string id;
  if (std::ifstream(path) >> id && id.size() == kIdDigits) return id;
  std::random_device device;
  id = absl::StrFormat("%08x%08x", device(), device());
  // Under another name first: a crash in between leaves no half an id.
  const std::string draft = path + ".new";
  if (std::ofstream file(draft); !(file << id << "\n" << std::flush)) return DiskError(errno, "write", draft);
  std::error_code error;
  fs::rename(draft, path, error);
  if (error) return DiskError(error.value(), "write", path);
  return id;
}

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(const std::string& dir) {
  if (absl::Status status = MakeFolder(dir); !status.ok()) {
    // A place that is none, under /proc say, will not become one.
    return absl::IsUnavailable(status) ? absl::InvalidArgumentError(StrCat(
                                             ToStd(status.message()), " — give --data the path of a folder"))
                                       : status;
  }
  const std::string path = dir + "/LOCK";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return DiskError(errno, "write", path);
  std::unique_ptr<DataDir> opened(new DataDir(dir, fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return DiskError(errno, "lock", path);
    return absl::FailedPreconditionError(
        StrCat("cannot use the data folder ", dir, " — process ", HolderOf(fd),
               " uses it — stop that worker, or give this one another --data"));
  }
  if (absl::Status status = WritePid(fd, path); !status.ok()) return status;
  absl::StatusOr<std::string> id = ReadOrMakeId(dir + "/ID");
  if (!id.ok()) return id.status();
  opened->id_ = *std::move(id);
  opened->RemoveAsides();
  return opened;
}

DataDir::~DataDir() { ::close(lock_fd_); }

absl::StatusOr<std::string> DataDir::PartitionFolder(const Partition& partition) const {
  const std::string job = StrCat(dir_, "/", partition.uid);
  if (absl::Status status = MakeFolder(job); !status.ok()) return status;
  return StrCat(job, "/", partition.segment.value(), "-", partition.partition.value());
}

// One that cannot be removed is in nobody's way: it is emptied before its name is used again.
void DataDir::RemoveAsides() const {
  std::error_code error;
  std::vector<fs::path> asides;
  for (const auto& job : fs::directory_iterator(dir_, error)) {
    if (!job.is_directory(error)) continue;
    for (const auto& entry : fs::directory_iterator(job.path(), error)) {
      const std::string name = entry.path().filename();
      const size_t dash = name.find('-'), dot = name.find('.');
      if (dash == std::string::npos || dot == std::string::npos || dot < dash) continue;
      if (ParseNumber(std::string_view(name).substr(0, dash)).has_value() &&
          ParseNumber(std::string_view(name).substr(dash + 1, dot - dash - 1)).has_value()) {
        asides.push_back(entry.path());
      }
    }
  }
  for (const fs::path& aside : asides) fs::remove_all(aside, error);
}

absl::StatusOr<std::string> DataDir::AsideFolder(const Partition& partition, std::string_view what) const {
  const absl::StatusOr<std::string> folder = PartitionFolder(partition);
  if (!folder.ok()) return folder.status();
  const std::string aside = StrCat(*folder, ".", what);
  std::error_code error;
  fs::remove_all(aside, error);
  return error ? DiskError(error.value(), "remove", aside) : absl::StatusOr<std::string>(aside);
}

absl::Status DataDir::Replace(const Partition& partition, const std::string& with) const {
  const absl::StatusOr<std::string> folder = PartitionFolder(partition);
  if (!folder.ok()) return folder.status();
  std::error_code error;
  MILLRACE_FAILPOINT("in_replace");
  if (::renameat2(AT_FDCWD, with.c_str(), AT_FDCWD, folder->c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(with, error);  // what stays is removed at the next start
    return absl::OkStatus();
  }
  fs::remove_all(*folder, error);
  if (error) return DiskError(error.value(), "remove", *folder);
  fs::rename(with, *folder, error);
  return error ? DiskError(error.value(), "rename", with) : absl::OkStatus();
}

absl::Status DataDir::Remove(const Partition& partition) const {
  const std::string job = StrCat(dir_, "/", partition.uid);
  const std::string folder = StrCat(job, "/", partition.segment.value(), "-", partition.partition.value());
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return DiskError(error.value(), "remove", folder);
  fs::remove(job, error);  // the job's folder goes with its last partition; it is not empty before
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DataDir::Partition>> DataDir::List() const {
  std::vector<Partition> found;
  std::error_code error;
  for (const auto& job : fs::directory_iterator(dir_, error)) {
    if (!job.is_directory(error)) continue;
    for (const auto& entry : fs::directory_iterator(job.path(), error)) {
      const std::string name = entry.path().filename();
      const size_t dash = name.find('-');
      if (dash == std::string::npos) continue;
      const auto segment = ParseNumber(std::string_view(name).substr(0, dash));
      const auto partition = ParseNumber(std::string_view(name).substr(dash + 1));
      if (!segment.has_value() || !partition.has_value()) continue;
      found.push_back({job.path().filename(), SegmentId(*segment), PartitionId(*partition)});
    }
  }
  if (error) return DiskError(error.value(), "list", dir_);
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace millrace
