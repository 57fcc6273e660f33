#include "common/handler/handler_router.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <zmq.hpp>

#include "common/check.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr int kIoThreads = 1;
// A handler's own library answers these; so a connection that died silently is found.
constexpr absl::Duration kSocketHeartbeat = absl::Seconds(1);
constexpr absl::Duration kSocketTimeout = absl::Seconds(5);
constexpr absl::Duration kLinger = absl::Milliseconds(200);  // for the last words, after the socket is closed
constexpr size_t kMostFrames = 16;                           // of a message; a stranger may send more

constexpr std::string_view kIpc = "ipc://";

// Two processes that bind one socket file would take it from each other in silence: ZeroMQ replaces the file. A
// lock beside it, held as long as the socket, prevents that.
class SocketFileLock {
 public:
  // Holds nothing where the endpoint is no file. UNAVAILABLE: somebody else has it.
  static absl::StatusOr<std::unique_ptr<SocketFileLock>> Take(const std::string& endpoint);
  explicit SocketFileLock(int file) : file_(file) {}
  ~SocketFileLock() {
    if (file_ >= 0) close(file_);
  }
  SocketFileLock(const SocketFileLock&) = delete;
  SocketFileLock& operator=(const SocketFileLock&) = delete;

 private:
  const int file_;
};

absl::StatusOr<std::unique_ptr<SocketFileLock>> SocketFileLock::Take(const std::string& endpoint) {
  if (!endpoint.starts_with(kIpc)) return std::make_unique<SocketFileLock>(-1);
  const std::string path = endpoint.substr(kIpc.size()) + ".lock";
  auto lock = std::make_unique<SocketFileLock>(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (lock->file_ < 0) {
    return absl::UnavailableError(StrCat("cannot listen at ", endpoint, " — ", path, ": ",
                                         std::strerror(errno),
                                         " — make the folder, or try another endpoint"));
  }
  if (flock(lock->file_, LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(
        StrCat("cannot listen at ", endpoint,
               " — another stage or process does — give each stage an endpoint of its own"));
  }
  return lock;
}

class ZmqHandlerRouter final : public HandlerRouter {
 public:
  explicit ZmqHandlerRouter(std::unique_ptr<SocketFileLock> lock)
      : lock_(std::move(lock)),
        context_(kIoThreads),
        socket_(context_, zmq::socket_type::router),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    MILLRACE_CHECK(wake_ >= 0);
    socket_.set(zmq::sockopt::router_mandatory,
                true);  // a handler that is gone is an error when something is sent
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kMaxHandlerMessageBytes));
    socket_.set(zmq::sockopt::heartbeat_ivl, static_cast<int>(absl::ToInt64Milliseconds(kSocketHeartbeat)));
    socket_.set(zmq::sockopt::heartbeat_timeout, static_cast<int>(absl::ToInt64Milliseconds(kSocketTimeout)));
    socket_.set(zmq::sockopt::linger, static_cast<int>(absl::ToInt64Milliseconds(kLinger)));
  }
  ~ZmqHandlerRouter() override { close(wake_); }

  void BindTo(const std::string& endpoint) { socket_.bind(endpoint); }

  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override {
    try {
      const auto dont_wait = zmq::send_flags::dontwait;
      const auto more = dont_wait | zmq::send_flags::sndmore;
      // All or nothing is decided at the first frame.
      return socket_.send(zmq::buffer(peer), more) && socket_.send(zmq::buffer(kHandlerEnvelope), more) &&
             socket_.send(zmq::buffer(kind), more) && socket_.send(zmq::buffer(body), dont_wait);
    } catch (const zmq::error_t&) {
      return false;
    }
  }

  bool Receive(absl::Duration wait, Incoming* message) override {
    if (ReceiveNow(message)) return true;
    const int64_t wait_ms =
        std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))));
    if (wait_ms == 0) return false;
    zmq::pollitem_t items[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wake_, ZMQ_POLLIN, 0}};
    try {
      zmq::poll(items, 2, std::chrono::milliseconds(wait_ms));
    } catch (const zmq::error_t&) {  // interrupted by a signal: as if nothing had come
      return false;
    }
    uint64_t woken = 0;
    if (items[1].revents != 0 && read(wake_, &woken, sizeof woken) < 0) return false;
    return ReceiveNow(message);
  }

  void Wake() override {
    const uint64_t once = 1;
    while (write(wake_, &once, sizeof once) < 0 && errno == EINTR) {
    }
  }

 private:
  bool ReceiveNow(Incoming* message) {
    zmq::message_t frame;
    message->frames.clear();
    try {
      if (!socket_.recv(frame, zmq::recv_flags::dontwait)) return false;
      message->peer = frame.to_string();
      while (frame.more()) {
        if (!socket_.recv(frame, zmq::recv_flags::dontwait)) return false;
        if (message->frames.size() < kMostFrames) message->frames.push_back(frame.to_string());
      }
    } catch (const zmq::error_t&) {
      return false;
    }
    return true;
  }

  // In this order: the lock is given up when the context has closed everything, and removed the socket's file.
  const std::unique_ptr<SocketFileLock> lock_;
  zmq::context_t context_;
  zmq::socket_t socket_;
  const int wake_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HandlerRouter>> HandlerRouter::Bind(const std::string& endpoint) {
  absl::StatusOr<std::unique_ptr<SocketFileLock>> lock = SocketFileLock::Take(endpoint);
  if (!lock.ok()) return lock.status();
  try {
    auto router = std::make_unique<ZmqHandlerRouter>(*std::move(lock));
    router->BindTo(endpoint);
    return router;
  } catch (const zmq::error_t& error) {
    return absl::UnavailableError(StrCat("cannot listen at ", endpoint, " — ", error.what(),
                                         " — try another endpoint, or end who has this one"));
  }
}

}  // namespace millrace
