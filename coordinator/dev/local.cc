#include "coordinator/dev/local.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace millrace {
namespace {

constexpr char kLockFile[] = "dev.lock";
constexpr size_t kMostHttpBytes = 1 << 20;
constexpr absl::Duration kHttpTimeout = absl::Seconds(2);

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

absl::StatusOr<std::string> FindNatsServer() {
  const char* path = std::getenv("PATH");
  std::vector<std::string> folders = absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty());
  folders.insert(folders.end(), {"/usr/sbin", "/usr/local/bin", "/usr/local/sbin"});
  for (const std::string& folder : folders) {
    const std::string candidate = absl::StrCat(folder, "/nats-server");
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::FailedPreconditionError(
      "nats-server was not found — it is neither in PATH nor in /usr/sbin — try: apt install nats-server, or "
      "--nats URL for one that runs elsewhere");
}

absl::StatusOr<std::string> FindSibling(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string path = (self.parent_path() / name).string();
  if (!error && access(path.c_str(), X_OK) == 0) return path;
  return absl::FailedPreconditionError(absl::StrCat(
      "the executable ", path, " is missing — dev starts it beside this one — try: ./run build"));
}

absl::StatusOr<uint16_t> PickPort(uint16_t wanted, const std::string& flag) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  const int yes = 1;  // a connection that lingers after its end does not make a port taken
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in address = Loopback(wanted);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 1) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("port ", wanted, " cannot be used — ", std::strerror(errno), " — try ", flag));
  }
  return ntohs(address.sin_port);
}

absl::StatusOr<std::string> AskPort(const std::string& host, uint16_t port, const std::string& request,
                                    size_t most, absl::Duration timeout) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  const timeval limit = absl::ToTimeval(timeout);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address = Loopback(port);
  if (host != "0.0.0.0" && inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("\"", host, "\" is no IPv4 address"));
  }
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return absl::UnavailableError(std::strerror(errno));
  }
  std::string answer;
  char chunk[4096];
  while (answer.size() < most) {
    const ssize_t n = recv(fd, chunk, std::min(sizeof(chunk), most - answer.size()), 0);
    if (n < 0) return absl::UnavailableError(std::strerror(errno));
    if (n == 0) break;
    answer.append(chunk, static_cast<size_t>(n));
  }
  return answer;
}

absl::StatusOr<std::string> HttpGet(const std::string& host, uint16_t port, const std::string& path) {
  const auto answer = AskPort(
      host, port, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
      kMostHttpBytes, kHttpTimeout);
  if (!answer.ok()) return answer.status();
  const size_t body = answer->find("\r\n\r\n");
  if (body == std::string::npos || answer->compare(0, 12, "HTTP/1.1 200") != 0) {
    return absl::UnavailableError("not answered with 200");
  }
  return answer->substr(body + 4);
}

absl::StatusOr<DataFolder> DataFolder::Open(const std::string& path) {
  std::string folder = path;
  std::error_code error;
  if (folder.empty()) {
    folder = (std::filesystem::temp_directory_path(error) / "millrace-dev-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot make a temporary folder — ", std::strerror(errno), " — try --data DIR"));
    }
  } else {
    std::filesystem::create_directories(folder, error);
    if (!error) folder = std::filesystem::absolute(folder, error).string();
  }
  const int fd = open(absl::StrCat(folder, "/", kLockFile).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (error || fd < 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot use the folder ", folder, " — ",
                                                      error ? error.message() : std::strerror(errno),
                                                      " — try another --data"));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::FailedPreconditionError(absl::StrCat(
        "the folder ", folder, " is in use — another `coordinator dev` runs on it — try another --data"));
  }
  return DataFolder(folder, fd, path.empty() ? AtEnd::kRemove : AtEnd::kKeep);
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)), at_end_(other.at_end_) {}

DataFolder::~DataFolder() {
  if (lock_fd_ < 0) return;
  std::error_code ignored;
  if (at_end_ == AtEnd::kRemove) std::filesystem::remove_all(path_, ignored);
  close(lock_fd_);
}

}  // namespace millrace
