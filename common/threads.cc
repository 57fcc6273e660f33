#include "common/threads.h"

#include <thread>
#include <utility>

#include "common/mailbox.h"

namespace millrace {
namespace {

class SystemThread : public Thread {
 public:
  explicit SystemThread(std::function<void()> body) : thread_(std::move(body)) {}
  void Join() override { thread_.join(); }

 private:
  std::thread thread_;
};

class SystemThreadsImpl : public Threads {
 public:
  std::unique_ptr<Thread> Start(std::function<void()> body) override {
    return std::make_unique<SystemThread>(std::move(body));
  }
  std::unique_ptr<PointerPipe> NewPipe() override { return NewZmqPipe(); }
};

}  // namespace

Threads& SystemThreads() {
  static SystemThreadsImpl threads;
  return threads;
}

}  // namespace millrace
