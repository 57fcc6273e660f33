#include "worker/runtime/pull_loop.h"

#include <utility>

#include "worker/partition/cookie.h"

namespace millrace {
namespace {

constexpr size_t kMaxEventsAPoll = 512;
constexpr absl::Duration kPullWait = absl::Milliseconds(100);

}  // namespace

PullLoop::PullLoop(Bus& bus, uint32_t lanes, Deliver deliver)
    : bus_(bus), deliver_(std::move(deliver)), by_lane_(lanes) {}

PullLoop::~PullLoop() { Stop(); }

void PullLoop::Start(Threads& threads) {
  thread_ = threads.Start([this] {
    while (!stopping_) Step(kPullWait);
  });
}

void PullLoop::Stop() {
  stopping_ = true;
  bus_.Wake();
  if (thread_ != nullptr) std::exchange(thread_, nullptr)->Join();
}

void PullLoop::Step(absl::Duration wait) {
  events_.clear();
  bus_.Poll(wait, kMaxEventsAPoll, &events_);
  Route(events_);
  for (uint32_t lane = 0; lane < by_lane_.size(); ++lane) {
    if (by_lane_[lane].events.empty()) continue;
    BusEvents next;
    next.events.reserve(by_lane_[lane].events.size());  // a busy lane's batches are alike
    deliver_(lane, std::exchange(by_lane_[lane], std::move(next)));
  }
}

void PullLoop::Route(std::vector<BusEvent>& events) {
  absl::MutexLock lock(&mutex_);
  for (BusEvent& event : events) {
    switch (event.type) {
      case BusEvent::Type::kMessage:
      case BusEvent::Type::kReaderError: {
        const auto it = lane_of_reader_.find(event.reader);
        if (it != lane_of_reader_.end()) by_lane_[it->second].events.push_back(std::move(event));
        break;
      }
      case BusEvent::Type::kAppended: {
        const uint32_t lane = LaneOf(CookieInstance(event.cookie));
        if (event.cookie != 0 && lane < by_lane_.size()) by_lane_[lane].events.push_back(std::move(event));
        break;
      }
      case BusEvent::Type::kReconnected:
      case BusEvent::Type::kDisconnected:
        for (BusEvents& batch : by_lane_) batch.events.push_back(event);
        break;
    }
  }
}

ReaderId PullLoop::OpenReader(uint32_t lane, const ReaderOptions& options) {
  absl::MutexLock lock(&mutex_);  // held over the call: no event may be routed before its reader is known
  const ReaderId reader = bus_.OpenReader(options);
  lane_of_reader_[reader] = lane;
  return reader;
}

void PullLoop::CloseReader(ReaderId reader) {
  {
    absl::MutexLock lock(&mutex_);
    lane_of_reader_.erase(reader);
  }
  bus_.CloseReader(reader);
}

}  // namespace millrace
