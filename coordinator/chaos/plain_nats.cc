#include "coordinator/chaos/plain_nats.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace::chaos {
namespace {

constexpr std::string_view kScheme = "nats://";
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr size_t kReadBytes = 256 << 10;
constexpr char kInboxPrefix[] = "_INBOX.millrace_chaos";

}  // namespace

std::string_view PlainMessage::Header(std::string_view name) const {
  for (const auto& [own, value] : headers) {
    if (own == name) return value;
  }
  return "";
}

void PlainMessage::TakeHeaderBlock(std::string_view block, std::string* status) {
  bool first = true;
  for (const auto piece : absl::StrSplit(ToAbsl(block), "\r\n")) {
    const std::string_view line = ToStd(piece);
    if (first) {
      const size_t space = line.find(' ');
      if (space != std::string_view::npos) *status = std::string(line.substr(space + 1));
      first = false;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    headers.emplace_back(std::string(line.substr(0, colon)), std::string(value));
  }
}

absl::StatusOr<PlainNats::Address> PlainNats::ParseUrl(std::string_view url) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        StrCat("--nats ", url, " — expected nats://HOST:PORT — try nats://127.0.0.1:4222"));
  };
  Address address;
  std::string_view rest = url;
  if (rest.substr(0, kScheme.size()) == kScheme) rest.remove_prefix(kScheme.size());
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    address.user = std::string(user.substr(0, user.find(':')));
    if (user.find(':') != std::string_view::npos)
      address.password = std::string(user.substr(user.find(':') + 1));
    rest.remove_prefix(at + 1);
  }
  const size_t colon = rest.find(':');
  address.host = std::string(rest.substr(0, colon));
  if (address.host.empty() || rest.find('/') != std::string_view::npos) return wrong();
  uint32_t port = address.port;
  if (colon != std::string_view::npos &&
      (!absl::SimpleAtoi(ToAbsl(rest.substr(colon + 1)), &port) || port == 0 || port > 65535)) {
    return wrong();
  }
  address.port = static_cast<uint16_t>(port);
  return address;
}

absl::StatusOr<std::vector<PlainNats::Address>> PlainNats::ParseUrls(std::string_view urls) {
  std::vector<Address> addresses;
  for (const auto url : absl::StrSplit(ToAbsl(urls), ',')) {
    auto address = ParseUrl(ToStd(url));
    if (!address.ok()) return address.status();
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

PlainNats::~PlainNats() { Disconnect(); }

void PlainNats::Disconnect() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  buffer_.clear();
  used_ = 0;
}

absl::Status PlainNats::Connect() {
  absl::Status status;
  for (size_t i = 0; i < addresses_.size(); ++i) {
    status = ConnectTo(addresses_[at_]);
    if (status.ok()) break;
    at_ = (at_ + 1) % addresses_.size();
  }
  return status;
}

absl::Status PlainNats::ConnectTo(const Address& address) {
  Disconnect();
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found) != 0) {
    return absl::UnavailableError(StrCat("no such host: ", address.host));
  }
  for (const addrinfo* at = found; at != nullptr && fd_ < 0; at = at->ai_next) {
    const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
      fd_ = fd;
    } else {
      close(fd);
    }
  }
  freeaddrinfo(found);
  if (fd_ < 0) {
    return absl::UnavailableError(
        StrCat("cannot connect to ", address.host, ":", address.port, " — ", std::strerror(errno)));
  }
  const int yes = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  const auto info = Line(absl::Now() + kConnectTimeout);
  if (!info.ok()) {
    Disconnect();
    return info.status();
  }
  nlohmann::json options = {{"verbose", false}, {"pedantic", false},       {"headers", true},
                            {"lang", "c++"},    {"version", "1"},          {"no_responders", true},
                            {"protocol", 1},    {"name", "millrace chaos"}};
  if (!address.user.empty()) {
    options["user"] = address.user;
    options["pass"] = address.password;
  }
  return Send(StrCat("CONNECT ", options.dump(), "\r\nSUB ", kInboxPrefix, ".", getpid(), ".* 1\r\n"));
}

absl::Status PlainNats::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      Disconnect();
      return absl::UnavailableError("the connection broke");
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::Status PlainNats::Fill(absl::Time deadline) {
  const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
  pollfd wait = {fd_, POLLIN, 0};
  if (left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) {
    return absl::UnavailableError("no answer in time");
  }
  buffer_.erase(0, used_);
  used_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  const ssize_t got = recv(fd_, buffer_.data() + before, kReadBytes, 0);
  buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got > 0) return absl::OkStatus();
  Disconnect();
  return absl::UnavailableError("the connection broke");
}

absl::StatusOr<std::string> PlainNats::Line(absl::Time deadline) {
  size_t end;
  while ((end = buffer_.find("\r\n", used_)) == std::string::npos) {
    if (absl::Status status = Fill(deadline); !status.ok()) return status;
  }
  std::string line = buffer_.substr(used_, end - used_);
  used_ = end + 2;
  return line;
}

absl::StatusOr<std::string> PlainNats::Bytes(size_t count, absl::Time deadline) {
  while (buffer_.size() - used_ < count + 2) {
    if (absl::Status status = Fill(deadline); !status.ok()) return status;
  }
  std::string bytes = buffer_.substr(used_, count);
  used_ += count + 2;
  return bytes;
}

absl::StatusOr<PlainNats::Frame> PlainNats::Next(absl::Time deadline) {
  while (true) {
    const auto line = Line(deadline);
    if (!line.ok()) return line.status();
    const std::vector<std::string> words = absl::StrSplit(*line, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    if (words[0] == "PING") {
      if (absl::Status status = Send("PONG\r\n"); !status.ok()) return status;
    } else if (words[0] == "-ERR") {
      Disconnect();
      return absl::UnavailableError(*line);
    } else if (words[0] == "MSG" || words[0] == "HMSG") {
      const bool has_headers = words[0] == "HMSG";
      size_t head = 0, size = 0;
      if (words.size() < (has_headers ? 5u : 4u) || !absl::SimpleAtoi(words.back(), &size) ||
          (has_headers && !absl::SimpleAtoi(words[words.size() - 2], &head)) || head > size) {
        return absl::InternalError(StrCat("not understood: ", *line));
      }
      auto bytes = Bytes(size, deadline);
      if (!bytes.ok()) return bytes.status();
      Frame frame;
      frame.subject = words[1];
      if (words.size() == (has_headers ? 6u : 5u)) frame.reply = words[3];
      if (has_headers) frame.message.TakeHeaderBlock(std::string_view(*bytes).substr(0, head), &frame.status);
      frame.message.payload = bytes->substr(head);
      return frame;
    }
  }
}

std::string PlainNats::NewInbox() { return StrCat(kInboxPrefix, ".", getpid(), ".", ++next_inbox_); }

absl::StatusOr<PlainNats::Frame> PlainNats::Ask(const std::string& subject, std::string_view header,
                                                std::string_view payload, absl::Duration timeout) {
  if (fd_ < 0) {
    if (absl::Status status = Connect(); !status.ok()) return status;
  }
  const std::string inbox = NewInbox();
  const std::string command = header.empty()
                                  ? StrCat("PUB ", subject, " ", inbox, " ", payload.size(), "\r\n")
                                  : StrCat("HPUB ", subject, " ", inbox, " ", header.size(), " ",
                                           header.size() + payload.size(), "\r\n");
  if (absl::Status status = Send(StrCat(command, header, payload, "\r\n")); !status.ok()) return status;
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    auto frame = Next(deadline);
    if (!frame.ok()) return frame.status();
    if (frame->subject != inbox) continue;  // late, of a request that was given up
    if (absl::StartsWith(frame->status, "503")) return absl::UnavailableError("nobody answers " + subject);
    return frame;
  }
}

absl::StatusOr<std::string> PlainNats::Request(const std::string& subject, std::string_view payload,
                                               absl::Duration timeout) {
  auto frame = Ask(subject, "", payload, timeout);
  if (!frame.ok()) return frame.status();
  return std::move(frame->message.payload);
}

}  // namespace millrace::chaos
