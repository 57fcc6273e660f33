#include "common/bus/nats_server_info.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

constexpr size_t kMaxGreetingBytes = 64 << 10;

struct HostPort {
  std::string host;
  std::string port = "4222";
};

HostPort SplitUrl(std::string_view url) {
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  HostPort result;
  const size_t bracket = url.rfind(']');
  const size_t colon = url.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    result.port = std::string(url.substr(colon + 1));
    url = url.substr(0, colon);
  }
  if (!url.empty() && url.front() == '[') url = url.substr(1, url.size() - 2);
  result.host = std::string(url);
  return result;
}

int ConnectTo(const HostPort& where, absl::Duration timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found) != 0) return -1;
  const absl::Cleanup release = [found] { freeaddrinfo(found); };
  const timeval limit = absl::ToTimeval(timeout);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) return fd;
    close(fd);
  }
  return -1;
}

}  // namespace

absl::StatusOr<ServerInfo> ReadServerInfo(const std::string& url, absl::Duration timeout) {
  const int fd = ConnectTo(SplitUrl(url), timeout);
  if (fd < 0) return absl::UnavailableError(StrCat("cannot connect to ", url));
  const absl::Cleanup hang_up = [fd] { close(fd); };
  std::string greeting;
  char buffer[4096];
  while (greeting.find("\r\n") == std::string::npos && greeting.size() < kMaxGreetingBytes) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return absl::UnavailableError(StrCat(url, " does not greet as NATS does"));
    greeting.append(buffer, static_cast<size_t>(n));
  }
  if (!greeting.starts_with("INFO ")) {
    return absl::UnavailableError(StrCat(url, " does not greet as NATS does"));
  }
  const nlohmann::json info = nlohmann::json::parse(greeting.substr(5, greeting.find("\r\n") - 5), nullptr,
                                                    /*allow_exceptions=*/false);
  if (!info.is_object()) return absl::UnavailableError(StrCat(url, " does not greet as NATS does"));
  ServerInfo server;
  server.version = info.value("version", std::string());
  server.server_name = info.value("server_name", std::string());
  server.max_payload = info.value("max_payload", int64_t{0});
  server.jetstream = info.value("jetstream", false);
  return server;
}

}  // namespace millrace
