#include "common/bus/nats_bus.h"

#include <algorithm>
#include <deque>
#include <random>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/nats_connection.h"
#include "common/bus/nats_control.h"
#include "common/bus/nats_message.h"
#include "common/bus/nats_names.h"
#include "common/bus/nats_reader.h"
#include "common/bus/nats_server_info.h"
#include "common/bus/nats_services.h"
#include "common/bus/nats_subscription.h"
#include "common/bus/nats_wire.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/random_id.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kTickInterval = absl::Milliseconds(50);  // Poll looks at timers this often
// Readers stop asking at max_queued_events, and what they asked for before still comes. At so many times
// that, messages are let go: a reader finds the gap and asks again from there, an append misses its ack.
constexpr size_t kMostQueuedPerEvent = 4;
constexpr absl::Duration kServerInfoTimeout = absl::Seconds(2);

// Everything that comes for the data plane comes to one subscription on `<inbox>.>`:
//   <inbox>.a.<cookie>                        the ack of an append
//   <inbox>.c.<reader>.<attempt>              an answer of the API to a reader
//   <inbox>.r.<reader>.<attempt>.<request>    a status of a pull request
// and the messages themselves, which carry their stream's subject and are told by their ack subject.
class NatsBus final : public Bus, private ConnectionListener, private ReaderPort {
 public:
  NatsBus(const NatsOptions& options, Clock& clock);
  ~NatsBus() override;
  absl::Status Start(const NatsOptions& options);

  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config) override {
    return control_->CreateStream(config);
  }
  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override { return control_->GetStream(name); }
  absl::Status DeleteStream(const std::string& name) override { return control_->DeleteStream(name); }
  absl::Status PurgeStream(const std::string& name, uint64_t up_to) override {
    return control_->PurgeStream(name, up_to);
  }
  absl::StatusOr<std::vector<std::string>> ListStreams() override { return control_->ListStreams(); }
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) override {
    return control_->GetMessage(stream, sequence);
  }
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) override {
    return control_->GetLastMessage(stream, subject);
  }
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override {
    return control_->AppendAndWait(request);
  }
  absl::Status CreateBucket(const std::string& bucket, int replicas) override {
    return control_->CreateBucket(bucket, replicas);
  }
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override {
    return control_->CreateKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                  std::string_view value) override {
    return control_->PutKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> UpdateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value, uint64_t revision) override {
    return control_->UpdateKey(bucket, key, value, revision);
  }
  absl::StatusOr<KeyValue> GetKey(const std::string& bucket, const std::string& key) override {
    return control_->GetKey(bucket, key);
  }
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override {
    return control_->DeleteKey(bucket, key);
  }
  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout) override {
    return services_->Request(subject, payload, timeout);
  }
  absl::Status Serve(const std::string& subject, std::function<void(Incoming)> handler) override {
    return services_->Serve(subject, std::move(handler));
  }
  absl::Status Reply(const std::string& reply_to, std::string_view payload) override {
    return services_->Reply(reply_to, payload);
  }
  absl::StatusOr<ServerInfo> Server() override {
    return ReadServerInfo(connection_->Url(), kServerInfoTimeout);
  }

  ReaderId OpenReader(const ReaderOptions& options) override;
  void CloseReader(ReaderId reader) override;
  void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) override;
  absl::Status Append(const AppendRequest& request) override;
  // Unless it sends at once, the client writes what it has buffered within a millisecond, or sooner when it
  // is much; it has no call that does so without a round trip.
  void Flush() override {}
  size_t Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) override;
  void Wake() override;

 private:
  void OnDisconnected() override { PushConnectionEvent(BusEvent::Type::kDisconnected); }
  void OnReconnected() override { PushConnectionEvent(BusEvent::Type::kReconnected); }
  void PushConnectionEvent(BusEvent::Type type);
  void Send(const std::string& subject, const std::string& reply_to, const std::string& payload) override;

  void Take(size_t max_messages);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(incoming_mutex_) {
    return woken_ || !incoming_.empty() || !connection_events_.empty();
  }
  void HandleDrained() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleMessage(natsMsg* msg, const AckSubject& ack) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleInbox(natsMsg* msg, std::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleAppendAnswer(natsMsg* msg, std::string_view cookie) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleConnectionEvents() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TickReaders() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t TakeReady(size_t max_events, std::vector<BusEvent>* events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  NatsReader* FindReader(ReaderId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  const size_t max_queued_events_;
  std::string inbox_;
  std::string name_suffix_;
  uint64_t max_payload_ = 0;

  absl::Mutex incoming_mutex_;  // the client's callbacks take this lock and no other
  std::deque<NatsMsgPtr> incoming_ ABSL_GUARDED_BY(incoming_mutex_);
  uint64_t lost_messages_ ABSL_GUARDED_BY(incoming_mutex_) = 0;  // there was no room for them
  std::deque<BusEvent::Type> connection_events_ ABSL_GUARDED_BY(incoming_mutex_);
  bool woken_ ABSL_GUARDED_BY(incoming_mutex_) = false;

  std::unique_ptr<NatsConnection> connection_;
  std::unique_ptr<NatsControl> control_;
  std::unique_ptr<NatsServices> services_;
  std::unique_ptr<NatsSubscription> subscription_;

  absl::Mutex mutex_;
  absl::flat_hash_map<ReaderId, std::unique_ptr<NatsReader>> readers_ ABSL_GUARDED_BY(mutex_);
  ReaderId next_reader_ ABSL_GUARDED_BY(mutex_) = 1;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  std::vector<BusEvent> ready_ ABSL_GUARDED_BY(mutex_);  // what Poll did not have room for
  size_t ready_taken_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of the thread that polls.
  std::vector<NatsMsgPtr> drained_;
  absl::Duration next_tick_ = absl::ZeroDuration();
};

NatsBus::NatsBus(const NatsOptions& options, Clock& clock)
    : clock_(clock),
      max_queued_events_(options.max_queued_events),
      random_(options.seed != 0 ? options.seed : std::random_device{}()) {}

NatsBus::~NatsBus() {
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, reader] : readers_) reader->Close();
  }
  services_.reset();
  subscription_.reset();
  connection_.reset();
}

absl::Status NatsBus::Start(const NatsOptions& options) {
  absl::StatusOr<std::unique_ptr<NatsConnection>> connection =
      NatsConnection::Connect(options, clock_, *this);
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  control_ = std::make_unique<NatsControl>(*connection_, clock_);
  services_ = std::make_unique<NatsServices>(*connection_);
  max_payload_ = static_cast<uint64_t>(std::max<int64_t>(connection_->max_payload(), 1));
  if (const absl::Status status = control_->CheckJetStream(); !status.ok()) {
    const absl::StatusOr<ServerInfo> server = Server();
    if (absl::IsFailedPrecondition(status) || (server.ok() && !server->jetstream)) {
      return absl::FailedPreconditionError(
          StrCat(WithoutPasswords(options.url),
                 " has no JetStream — millrace keeps everything in it — start nats-server with -js"));
    }
    return status;
  }
  name_suffix_ = RandomId();
  inbox_ = StrCat(options.inbox_prefix, ".", name_suffix_);
  absl::StatusOr<std::unique_ptr<NatsSubscription>> subscription = NatsSubscription::Start(
      connection_->get(), StrCat(inbox_, ".>"), NatsSubscription::kNoLimit, [this](NatsMsgPtr msg) {
        absl::MutexLock lock(&incoming_mutex_);
        if (incoming_.size() < kMostQueuedPerEvent * max_queued_events_) {
          incoming_.push_back(std::move(msg));
        } else {
          ++lost_messages_;
        }
      });
  if (!subscription.ok()) return subscription.status();
  subscription_ = *std::move(subscription);
  return absl::OkStatus();
}

void NatsBus::PushConnectionEvent(BusEvent::Type type) {
  absl::MutexLock lock(&incoming_mutex_);
  if (connection_events_.empty() || connection_events_.back() != type) connection_events_.push_back(type);
  // A connection that comes and goes while nobody polls is one that went and came back.
  while (connection_events_.size() > 2) connection_events_.pop_front();
}

void NatsBus::Send(const std::string& subject, const std::string& reply_to, const std::string& payload) {
  // A failure means a lost connection; what was not sent is asked again after kReconnected or a timeout.
  (void)natsConnection_PublishRequest(connection_->get(), subject.c_str(), reply_to.c_str(), payload.data(),
                                      static_cast<int>(payload.size()));
}

// --- readers and appends

ReaderId NatsBus::OpenReader(const ReaderOptions& options) {
  absl::MutexLock lock(&mutex_);
  NatsReader::Environment environment;
  environment.id = next_reader_++;
  environment.inbox = inbox_;
  environment.name_suffix = name_suffix_;
  environment.max_payload = max_payload_;
  environment.seed = random_();
  environment.port = this;
  const ReaderId id = environment.id;
  auto reader = std::make_unique<NatsReader>(options, std::move(environment));
  reader->Start(clock_.Monotonic());
  readers_.emplace(id, std::move(reader));
  return id;
}

void NatsBus::CloseReader(ReaderId id) {
  absl::MutexLock lock(&mutex_);
  NatsReader* reader = FindReader(id);
  if (reader == nullptr) return;
  reader->Close();
  readers_.erase(id);
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(ready_taken_));
  ready_taken_ = 0;
  std::erase_if(ready_, [id](const BusEvent& event) { return event.reader == id; });
}

void NatsBus::Grant(ReaderId id, uint32_t messages, uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  if (NatsReader* reader = FindReader(id)) reader->Grant(messages, bytes, clock_.Monotonic());
}

NatsReader* NatsBus::FindReader(ReaderId id) {
  const auto it = readers_.find(id);
  return it == readers_.end() ? nullptr : it->second.get();
}

absl::Status NatsBus::Append(const AppendRequest& request) {
  if (!connection_->connected()) return absl::UnavailableError("not connected");
  absl::StatusOr<NatsMsgPtr> msg = MakeAppend(request, StrCat(inbox_, ".a.", request.cookie));
  if (!msg.ok()) return msg.status();
  const natsStatus s = natsConnection_PublishMsg(connection_->get(), msg->get());
  return s == NATS_OK ? absl::OkStatus() : NatsError(s, StrCat("append to ", request.subject));
}

// --- polling

size_t NatsBus::Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) {
  const absl::Duration end = clock_.Monotonic() + wait;
  for (;;) {
    size_t taken = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (ready_.empty()) {
        Take(max_events);
        HandleDrained();
        HandleConnectionEvents();
        TickReaders();
      }
      taken = TakeReady(max_events, events);
    }
    const absl::Duration left = end - clock_.Monotonic();
    absl::MutexLock lock(&incoming_mutex_);
    if (taken > 0 || left <= absl::ZeroDuration() || std::exchange(woken_, false)) return taken;
    incoming_mutex_.AwaitWithTimeout(absl::Condition(this, &NatsBus::HasNews), std::min(left, kTickInterval));
  }
}

void NatsBus::Wake() {
  absl::MutexLock lock(&incoming_mutex_);
  woken_ = true;
}

void NatsBus::Take(size_t max_messages) {
  absl::MutexLock lock(&incoming_mutex_);
  for (; drained_.size() < max_messages && !incoming_.empty(); incoming_.pop_front()) {
    drained_.push_back(std::move(incoming_.front()));
  }
}

void NatsBus::HandleDrained() {
  for (const NatsMsgPtr& msg : drained_) {
    const char* reply = natsMsg_GetReply(msg.get());
    if (reply != nullptr) {
      if (const std::optional<AckSubject> ack = ParseAckSubject(reply)) {
        HandleMessage(msg.get(), *ack);
        continue;
      }
    }
    const std::string_view subject = natsMsg_GetSubject(msg.get());
    if (subject.size() > inbox_.size() && subject.starts_with(inbox_)) {
      HandleInbox(msg.get(), subject.substr(inbox_.size() + 1));
    }
  }
  drained_.clear();
}

void NatsBus::HandleMessage(natsMsg* msg, const AckSubject& ack) {
  uint64_t id = 0;
  uint64_t attempt = 0;
  if (!ParseConsumer(ack.consumer, &id, &attempt)) return;
  NatsReader* reader = FindReader(id);
  if (reader == nullptr || reader->attempt() != attempt) return;
  Message message = ToMessage(msg);
  if (reader->wants_user_headers()) message.user_headers = ReadUserHeaders(msg);
  reader->OnMessage(attempt, ack, std::move(message), clock_.Monotonic(), &ready_);
  if (reader->closed()) readers_.erase(id);
}

void NatsBus::HandleInbox(natsMsg* msg, std::string_view what) {
  if (what.size() < 2 || what[1] != '.') return;
  const char plane = what[0];
  what.remove_prefix(2);
  if (plane == 'a') return HandleAppendAnswer(msg, what);
  uint64_t id = 0;
  uint64_t attempt = 0;
  if (!TakeNumber(&what, &id) || !TakeNumber(&what, &attempt)) return;
  NatsReader* reader = FindReader(id);
  if (reader == nullptr) return;
  const absl::Duration now = clock_.Monotonic();
  if (plane == 'c') {
    reader->OnControl(attempt, Payload(msg), now, &ready_);
    if (reader->closed()) readers_.erase(id);
  } else if (plane == 'r') {
    uint64_t request = 0;
    const std::string_view code = Header(msg, "Status");
    if (TakeNumber(&what, &request) && !code.empty()) {
      reader->OnStatus(attempt, request, ToPullStatus(msg, code), now);
    }
  }
}

void NatsBus::HandleAppendAnswer(natsMsg* msg, std::string_view cookie) {
  BusEvent event;
  event.type = BusEvent::Type::kAppended;
  if (!TakeNumber(&cookie, &event.cookie)) return;
  if (Payload(msg).empty()) {
    event.status = absl::UnavailableError("no stream takes this subject now");
  } else {
    const absl::StatusOr<uint64_t> sequence = ParseAppendAck(Payload(msg));
    event.status = sequence.status();
    if (sequence.ok()) event.sequence = *sequence;
  }
  ready_.push_back(std::move(event));
}

void NatsBus::HandleConnectionEvents() {
  std::deque<BusEvent::Type> happened;
  {
    absl::MutexLock lock(&incoming_mutex_);
    happened.swap(connection_events_);
  }
  for (const BusEvent::Type type : happened) {
    if (type == BusEvent::Type::kReconnected) {
      for (auto& [id, reader] : readers_) reader->OnReconnected(clock_.Monotonic());
    }
    ready_.emplace_back().type = type;
  }
}

void NatsBus::TickReaders() {
  const absl::Duration now = clock_.Monotonic();
  if (now < next_tick_) return;
  next_tick_ = now + kTickInterval;
  size_t queued = 0;
  uint64_t lost = 0;
  {
    absl::MutexLock lock(&incoming_mutex_);
    queued = incoming_.size();
    // Asked for again when there is room: before, it would be lost once more.
    if (queued == 0) lost = std::exchange(lost_messages_, 0);
  }
  if (lost > 0) {
    LogWarning("more came from NATS than was taken; it is asked for again", {{"messages", lost}});
    // Whose they were is not known. A reader that lost the last of its messages would hear nothing that tells it.
    for (auto& [id, reader] : readers_) reader->OnReconnected(now);
  }
  for (auto& [id, reader] : readers_) {
    reader->set_may_request(queued < max_queued_events_, now);
    // Silence counts only when nothing that was said is still unheard.
    if (queued == 0) reader->Tick(now);
  }
}

size_t NatsBus::TakeReady(size_t max_events, std::vector<BusEvent>* events) {
  const size_t count = std::min(max_events, ready_.size() - ready_taken_);
  for (size_t i = 0; i < count; ++i) events->push_back(std::move(ready_[ready_taken_ + i]));
  ready_taken_ += count;
  if (ready_taken_ == ready_.size()) {
    ready_.clear();
    ready_taken_ = 0;
  }
  return count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Bus>> ConnectNats(const NatsOptions& options, Clock& clock) {
  auto bus = std::make_unique<NatsBus>(options, clock);
  if (absl::Status status = bus->Start(options); !status.ok()) return status;
  return bus;
}

}  // namespace millrace
