#include "common/mailbox.h"

#include <atomic>
#include <cstring>
#include <zmq.hpp>

#include "absl/synchronization/mutex.h"
#include "common/strings.h"
#include "common/tsan_annotations.h"

namespace millrace {
namespace {

// One context a process: inproc endpoints live in it. Never destroyed, so that no static destructor waits on
// a socket.
zmq::context_t& Context() {
  static auto* const context = new zmq::context_t(0);
  return *context;
}

std::string NextEndpoint() {
  static std::atomic<uint64_t> next{0};
  return StrCat("inproc://mailbox-", next++);
}

class ZmqPipe : public PointerPipe {
 public:
  ZmqPipe() : pull_(Context(), zmq::socket_type::pull), push_(Context(), zmq::socket_type::push) {
    pull_.set(zmq::sockopt::rcvhwm, 0);  // no limit
    push_.set(zmq::sockopt::sndhwm, 0);
    push_.set(zmq::sockopt::linger, 0);
    const std::string endpoint = NextEndpoint();
    pull_.bind(endpoint);
    push_.connect(endpoint);
  }

  void Send(void* pointer) override {
    MILLRACE_HAND_OVER(pointer);
    absl::MutexLock lock(&push_mutex_);
    push_.send(zmq::const_buffer(&pointer, sizeof(pointer)), zmq::send_flags::none);
  }

  void* Receive(absl::Duration wait) override;

 private:
  zmq::socket_t pull_;
  absl::Mutex push_mutex_;  // a ZeroMQ socket may be used by several threads when a lock is the full fence
                            // between them
  zmq::socket_t push_ ABSL_GUARDED_BY(push_mutex_);
};

void* ZmqPipe::Receive(absl::Duration wait) {
  void* pointer = nullptr;
  const zmq::mutable_buffer buffer(&pointer, sizeof(pointer));
  if (pull_.recv(buffer, zmq::recv_flags::dontwait)) {
    MILLRACE_TAKE_OVER(pointer);
    return pointer;
  }
  const int64_t wait_ms =
      std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))));
  if (wait_ms == 0) return nullptr;
  zmq::pollitem_t item = {pull_.handle(), 0, ZMQ_POLLIN, 0};
  try {
    if (zmq::poll(&item, 1, std::chrono::milliseconds(std::min<int64_t>(wait_ms, 60'000))) == 0)
      return nullptr;
  } catch (const zmq::error_t&) {  // interrupted by a signal: as if nothing had come
    return nullptr;
  }
  if (!pull_.recv(buffer, zmq::recv_flags::dontwait)) return nullptr;
  MILLRACE_TAKE_OVER(pointer);
  return pointer;
}

}  // namespace

std::unique_ptr<PointerPipe> NewZmqPipe() { return std::make_unique<ZmqPipe>(); }

}  // namespace millrace
