#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

#include "common/strings.h"
#include "tests/simulation/sim_bus.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kLatest = absl::Seconds(4);  // what is let go late arrives within it

}  // namespace

std::string StreamOfSubject(std::string_view subject) {
  constexpr std::string_view kBucket = "$KV.";
  if (subject.starts_with(kBucket)) {
    subject.remove_prefix(kBucket.size());
    return StrCat("KV_", subject.substr(0, subject.find('.')));
  }
  std::string stream(subject);
  std::replace(stream.begin(), stream.end(), '.', '-');
  const size_t dead = stream.find("-dead-");
  return dead == std::string::npos ? stream : stream.substr(0, dead + 5);
}

Network::Network(Kernel& kernel)
    : kernel_(kernel), clock_(kernel, nullptr), broker_(clock_), direct_(broker_.Connect()) {}

Network::~Network() = default;

std::unique_ptr<Bus> Network::Connect(Process& process, Style style) {
  return std::make_unique<SimBus>(*this, process, style);
}

void Network::Reset(Process& process, absl::Duration away) {
  for (SimBus* bus : buses_) {
    if (&bus->process() == &process) bus->Disconnect();
  }
  kernel_.After(away, [this, &process] {
    for (SimBus* bus : buses_) {
      if (&bus->process() == &process) bus->Reconnect();
    }
  });
}

void Network::FillBuffers(Process& process) {
  for (SimBus* bus : buses_) {
    if (&bus->process() == &process) bus->FillBuffer();
  }
}

void Network::RestartBroker(absl::Duration away) {
  kernel_.Note("restarts", "broker");
  for (SimBus* bus : buses_) bus->Disconnect();
  kernel_.After(away, [this] {
    for (SimBus* bus : buses_) bus->Reconnect();
  });
}

void Network::Changed(const std::string& stream) {
  for (SimBus* bus : buses_) {
    if (bus->Follows(stream)) bus->Tell();
  }
}

void Network::Note(const Packet& packet, const absl::StatusOr<uint64_t>& outcome, const Process& from) {
  ++counts_.appends;
  if (!outcome.ok()) ++counts_.refused;
  if (!kernel_.tracing()) {
    kernel_.Note(packet.subject, packet.header, outcome.ok() ? *outcome : 0);
    return;
  }
  kernel_.Note(StrCat(outcome.ok() ? "stored " : "refused ", packet.subject, " [", packet.header, "]"),
               from.name, outcome.ok() ? *outcome : 0);
}

void Network::LetGoLate(std::deque<Packet> packets) {
  const size_t arriving = packets.empty() ? 0 : kernel_.Random(packets.size() + 1);
  absl::Duration at = kernel_.now();
  for (size_t i = 0; i < arriving; ++i) {
    at += kernel_.RandomDuration(absl::ZeroDuration(), kLatest / static_cast<int64_t>(arriving));
    kernel_.At(at, [this, packet = std::move(packets[i])] {
      ++counts_.late;
      const absl::StatusOr<uint64_t> stored = direct_->AppendAndWait(packet.Request());
      if (kernel_.tracing()) {
        kernel_.Note(
            StrCat(stored.ok() ? "stored late " : "refused late ", packet.subject, " [", packet.header, "]"),
            "network", stored.ok() ? *stored : 0);
      }
      Changed(StreamOfSubject(packet.subject));
    });
  }
}

void Network::LetGoLate(std::function<void()> request) {
  ++counts_.late;
  kernel_.After(kernel_.RandomDuration(absl::ZeroDuration(), kLatest), std::move(request));
}

}  // namespace millrace::sim
