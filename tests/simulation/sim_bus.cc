#include "tests/simulation/sim_bus.h"

#include <algorithm>
#include <utility>

#include "common/strings.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kLeastTrip = absl::Microseconds(20);
constexpr absl::Duration kMostTrip = absl::Microseconds(400);
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);  // whether a cut has healed
constexpr size_t kMostPumped = 64;

}  // namespace

SimBus::SimBus(Network& network, Process& process, Network::Style style)
    : network_(network),
      kernel_(network.kernel()),
      process_(process),
      style_(style),
      wire_(std::make_shared<Wire>()) {
  wire_->inner = network.broker().Connect();
  wire_->bus = this;
  network_.buses_.push_back(this);
}

SimBus::~SimBus() {
  std::erase(network_.buses_, this);
  wire_->bus = nullptr;
  network_.LetGoLate(std::exchange(wire_->packets, {}));
}

bool SimBus::Follows(const std::string& stream) const {
  return std::any_of(followed_.begin(), followed_.end(),
                     [&](const auto& reader) { return reader.second == stream; });
}

// --- the link

void SimBus::Disconnect() {
  if (!std::exchange(wire_->connected, false)) return;
  network_.LetGoLate(std::exchange(wire_->packets, {}));
  wire_->inner->Disconnect();
  // Messages that the client has are handed on; answers that were on the way are gone.
  std::erase_if(arriving_, [](const Arriving& a) { return a.event.type == BusEvent::Type::kAppended; });
  std::vector<BusEvent> events;
  wire_->inner->Poll(absl::ZeroDuration(), SIZE_MAX, &events);
  for (BusEvent& event : events) {
    if (event.type != BusEvent::Type::kAppended) arriving_.push_back({std::move(event), kernel_.now()});
  }
  Tell();
}

void SimBus::Reconnect() {
  if (std::exchange(wire_->connected, true)) return;
  wire_->inner->Reconnect();
  Tell();
}

void SimBus::FillBuffer() {
  if (process_.link.in_cut) return;
  Pump();
  for (Arriving& arriving : arriving_) arriving.at = std::min(arriving.at, kernel_.now());
  last_in_ = std::min(last_in_, kernel_.now());
}

void SimBus::Travel() {
  kernel_.Sleep(kernel_.RandomDuration(kLeastTrip, kMostTrip) + process_.link.extra_delay);
}

bool SimBus::AwaitPassage(const bool& cut, absl::Duration deadline) {
  while (cut && wire_->connected && kernel_.now() < deadline) kernel_.Sleep(kLookAgain);
  return !cut && wire_->connected;
}

// --- control plane: a request's way there, what it does, and the answer's way back

template <typename Act>
auto SimBus::Control(const std::string& stream, Act act) -> decltype(act()) {
  if (Gone()) return absl::UnavailableError("not connected");
  if (kernel_.current() == nullptr || style_ == Network::Style::kAtomic) {
    if (!wire_->connected || process_.link.out_cut) return absl::UnavailableError("not connected");
    auto result = act();
    network_.Changed(stream);
    return result;
  }
  if (!wire_->connected) {
    kernel_.Sleep(kLookAgain);
    return absl::UnavailableError("not connected");
  }
  const absl::Duration deadline = kernel_.now() + kControlDeadline;
  Travel();
  if (!AwaitPassage(process_.link.out_cut, deadline)) {
    ++network_.counts().cut_calls;
    return absl::DeadlineExceededError("no answer");
  }
  auto result = act();
  network_.Changed(stream);
  if (process_.link.lose_answers > 0) {
    --process_.link.lose_answers;
    kernel_.Sleep(kControlDeadline);
    return absl::DeadlineExceededError("no answer");
  }
  Travel();
  if (!AwaitPassage(process_.link.in_cut, deadline)) return absl::DeadlineExceededError("no answer");
  return result;
}

// A write that was cut off, or whose process died while it was on its way, may be done later all the same.
template <typename Act>
auto SimBus::Write(const std::string& stream, Act act) -> decltype(act()) {
  const auto done = std::make_shared<bool>(false);
  const auto once = [act, done] {
    *done = true;
    return act();
  };
  const auto late = [this_network = &network_, once, stream] {
    static_cast<void>(once());
    this_network->Changed(stream);
  };
  const bool sent = !Gone() && wire_->connected;
  try {
    auto result = Control(stream, once);
    if (sent && !*done && kernel_.Chance(2)) network_.LetGoLate(late);
    return result;
  } catch (const ProcessDied&) {
    if (!*done && kernel_.Chance(2)) network_.LetGoLate(late);
    throw;
  }
}

absl::StatusOr<StreamInfo> SimBus::CreateStream(const StreamConfig& config) {
  return Control(config.name, [&] { return network_.direct().CreateStream(config); });
}

absl::StatusOr<StreamInfo> SimBus::GetStream(const std::string& name) {
  return Control("", [&] { return network_.direct().GetStream(name); });
}

absl::Status SimBus::DeleteStream(const std::string& name) {
  return Control(name, [&] { return network_.direct().DeleteStream(name); });
}

absl::Status SimBus::PurgeStream(const std::string& name, uint64_t up_to) {
  return Control(name, [&] { return network_.direct().PurgeStream(name, up_to); });
}

absl::StatusOr<std::vector<std::string>> SimBus::ListStreams() {
  return Control("", [&] { return network_.direct().ListStreams(); });
}

absl::StatusOr<Message> SimBus::GetMessage(const std::string& stream, uint64_t sequence) {
  return Control("", [&] { return network_.direct().GetMessage(stream, sequence); });
}

absl::StatusOr<Message> SimBus::GetLastMessage(const std::string& stream, const std::string& subject) {
  return Control("", [&] { return network_.direct().GetLastMessage(stream, subject); });
}

absl::StatusOr<uint64_t> SimBus::AppendAndWait(const AppendRequest& request) {
  const Packet packet = {std::string(request.subject),
                         std::string(request.header),
                         std::string(request.payload),
                         std::string(request.message_id),
                         request.expected_last_sequence,
                         request.cookie,
                         absl::ZeroDuration()};
  return Write(StreamOfSubject(request.subject),
               [network = &network_, packet, process = &process_]() -> absl::StatusOr<uint64_t> {
                 absl::StatusOr<uint64_t> stored = network->direct().AppendAndWait(packet.Request());
                 network->Note(packet, stored, *process);
                 return stored;
               });
}

absl::Status SimBus::CreateBucket(const std::string& bucket, int replicas) {
  return Control(StrCat("KV_", bucket), [&] { return network_.direct().CreateBucket(bucket, replicas); });
}

absl::StatusOr<uint64_t> SimBus::CreateKey(const std::string& bucket, const std::string& key,
                                           std::string_view value) {
  absl::StatusOr<uint64_t> made =
      Write(StrCat("KV_", bucket),
            [network = &network_, bucket, key, held = std::string(value),
             process = &process_]() -> absl::StatusOr<uint64_t> {
              absl::StatusOr<uint64_t> revision = network->direct().CreateKey(bucket, key, held);
              network->kernel().Note(revision.ok() ? "makes key" : "finds key made",
                                     StrCat(process->name, " ", key), revision.ok() ? *revision : 0);
              return revision;
            });
  if (made.ok() || !absl::IsDeadlineExceeded(made.status())) return made;
  // As the contract says: an ambiguous answer is followed by a look at the key.
  const absl::StatusOr<KeyValue> there = GetKey(bucket, key);
  if (!there.ok()) return made;
  if (there->value != value) return absl::AlreadyExistsError(StrCat("key ", key, " is there already"));
  return there->revision;
}

absl::StatusOr<uint64_t> SimBus::PutKey(const std::string& bucket, const std::string& key,
                                        std::string_view value) {
  return Write(StrCat("KV_", bucket), [network = &network_, bucket, key, held = std::string(value)] {
    return network->direct().PutKey(bucket, key, held);
  });
}

absl::StatusOr<uint64_t> SimBus::UpdateKey(const std::string& bucket, const std::string& key,
                                           std::string_view value, uint64_t revision) {
  absl::StatusOr<uint64_t> made =
      Write(StrCat("KV_", bucket), [network = &network_, bucket, key, held = std::string(value), revision] {
        return network->direct().UpdateKey(bucket, key, held, revision);
      });
  if (made.ok() || !absl::IsDeadlineExceeded(made.status())) return made;
  const absl::StatusOr<KeyValue> there = GetKey(bucket, key);
  if (!there.ok() || there->revision == revision) return made;
  if (there->value != value) return absl::AbortedError(StrCat("somebody else has changed key ", key));
  return there->revision;
}

absl::StatusOr<KeyValue> SimBus::GetKey(const std::string& bucket, const std::string& key) {
  return Control("", [&] { return network_.direct().GetKey(bucket, key); });
}

absl::Status SimBus::DeleteKey(const std::string& bucket, const std::string& key) {
  return Write(StrCat("KV_", bucket),
               [network = &network_, bucket, key] { return network->direct().DeleteKey(bucket, key); });
}

absl::StatusOr<std::string> SimBus::Request(const std::string& subject, std::string_view, absl::Duration) {
  return absl::UnavailableError(StrCat("nobody serves ", subject));  // the simulation asks no questions
}

absl::Status SimBus::Serve(const std::string&, std::function<void(Incoming)>) { return absl::OkStatus(); }
absl::Status SimBus::Reply(const std::string&, std::string_view) { return absl::OkStatus(); }

// --- data plane

ReaderId SimBus::OpenReader(const ReaderOptions& options) {
  const ReaderId reader = wire_->inner->OpenReader(options);
  followed_[reader] = options.stream;
  Tell();
  return reader;
}

void SimBus::CloseReader(ReaderId reader) {
  followed_.erase(reader);
  wire_->inner->CloseReader(reader);
}

void SimBus::Grant(ReaderId reader, uint32_t messages, uint64_t bytes) {
  wire_->inner->Grant(reader, messages, bytes);
  Tell();
}

void SimBus::Flush() {
  if (kernel_.current() != nullptr && style_ == Network::Style::kYields) kernel_.Yield();
}

absl::Status SimBus::Append(const AppendRequest& request) {
  if (Gone() || !wire_->connected) return absl::UnavailableError("not connected");
  if (request.payload.size() > MemoryBroker::kMaxPayloadBytes) {
    return absl::InvalidArgumentError("larger than the server takes");
  }
  last_out_ = std::max(
      last_out_, kernel_.now() + kernel_.RandomDuration(kLeastTrip, kMostTrip) + process_.link.extra_delay);
  Spoil({std::string(request.subject), std::string(request.header), std::string(request.payload),
         std::string(request.message_id), request.expected_last_sequence, request.cookie, last_out_});
  return absl::OkStatus();
}

// Onto the wire, with what is wrong with it today.
void SimBus::Spoil(Packet packet) {
  Link& link = process_.link;
  if (link.lose_appends > 0) {
    --link.lose_appends;
    ++network_.counts().lost;
    return;
  }
  if (link.lose_acks > 0) {
    --link.lose_acks;
    ++network_.counts().lost;
    wire_->lost_acks.insert(packet.cookie);
  }
  if (link.duplicate_appends > 0) {
    --link.duplicate_appends;
    ++network_.counts().doubled;
    wire_->packets.push_back(packet);
    ScheduleArrival(packet.arrives_at);
  }
  const absl::Duration at = packet.arrives_at;
  wire_->packets.push_back(std::move(packet));
  if (link.swap_appends > 0 && wire_->packets.size() > 1) {
    --link.swap_appends;
    std::iter_swap(wire_->packets.rbegin(), wire_->packets.rbegin() + 1);
  }
  ScheduleArrival(at);
}

void SimBus::ScheduleArrival(absl::Duration at) {
  kernel_.At(at,
             [wire = wire_, network = &network_, process = &process_] { Arrive(wire, *network, *process); });
}

void SimBus::Arrive(const std::shared_ptr<Wire>& wire, Network& network, Process& process) {
  if (wire->bus == nullptr || wire->packets.empty()) return;
  Kernel& kernel = network.kernel();
  if (process.link.out_cut) {
    kernel.After(kLookAgain, [wire, n = &network, p = &process] { Arrive(wire, *n, *p); });
    return;
  }
  const Packet packet = std::move(wire->packets.front());
  wire->packets.pop_front();
  static_cast<void>(wire->inner->Append(packet.Request()));
  // What came of it is the last event that the inner connection has; the trace needs the stream's end only.
  const absl::StatusOr<StreamInfo> info = network.direct().GetStream(StreamOfSubject(packet.subject));
  network.Note(packet, info.ok() ? absl::StatusOr<uint64_t>(info->last_sequence) : info.status(), process);
  network.Changed(StreamOfSubject(packet.subject));
  wire->bus->Tell();
}

void SimBus::Pump() {
  if (process_.link.in_cut || !wire_->connected) return;
  std::vector<BusEvent> events;
  wire_->inner->Poll(absl::ZeroDuration(), kMostPumped, &events);
  for (BusEvent& event : events) {
    if (event.type == BusEvent::Type::kAppended) {
      if (!event.status.ok()) ++network_.counts().refused;
      if (wire_->lost_acks.erase(event.cookie) > 0) continue;
    }
    last_in_ = std::max(
        last_in_, kernel_.now() + kernel_.RandomDuration(kLeastTrip, kMostTrip) + process_.link.extra_delay);
    arriving_.push_back({std::move(event), last_in_});
  }
}

size_t SimBus::Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) {
  const absl::Duration deadline = kernel_.now() + wait;
  size_t count = 0;
  while (!Gone()) {
    Pump();
    while (count < max_events && !arriving_.empty() && arriving_.front().at <= kernel_.now()) {
      events->push_back(std::move(arriving_.front().event));
      arriving_.pop_front();
      ++count;
    }
    if (count > 0 || std::exchange(woken_, false) || kernel_.now() >= deadline) break;
    if (kernel_.current() == nullptr || kernel_.current()->unwinding) break;
    absl::Duration until = deadline;
    if (process_.link.in_cut) until = std::min(until, kernel_.now() + kLookAgain);
    if (!arriving_.empty()) until = std::min(until, arriving_.front().at);
    kernel_.Wait(&told_, until);
  }
  return count;
}

void SimBus::Wake() {
  woken_ = true;
  Tell();
}

}  // namespace millrace::sim
