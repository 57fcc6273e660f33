#include "common/bus/nats_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/strings.h"

namespace millrace {
namespace {

using nlohmann::json;

constexpr size_t kMaxRequests = 3;  // outstanding: one being served, one behind it, one on its way
constexpr uint64_t kWindowPortions = 3;
constexpr absl::Duration kRequestExpires = absl::Seconds(10);
constexpr absl::Duration kIdleHeartbeat = absl::Seconds(2);
constexpr absl::Duration kSilenceLimit = absl::Milliseconds(4500);  // two heartbeats missed
constexpr absl::Duration kInactiveThreshold = absl::Seconds(60);
constexpr absl::Duration kAnswerLimit = absl::Seconds(5);
constexpr absl::Duration kMinPause = absl::Milliseconds(50);
constexpr absl::Duration kMaxPause = absl::Seconds(2);
constexpr size_t kMaxHintBytes = 64;
// A message counts against max_bytes with its subjects and headers.
constexpr uint64_t kMessageOverheadBytes = 256;

// A consumer's name may hold no dots, spaces or wildcards.
std::string CleanHint(std::string_view hint) {
  std::string clean(hint.substr(0, kMaxHintBytes));
  for (char& c : clean) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '_';
  }
  return clean.empty() ? "reader" : clean;
}

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

}  // namespace

NatsReader::NatsReader(ReaderOptions options, Environment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      random_(environment_.seed),
      next_sequence_(std::max<uint64_t>(1, options_.start_sequence)) {}

void NatsReader::Start(absl::Duration now) { AskInfo(now); }

void NatsReader::Close() {
  DeleteConsumer();
  state_ = State::kClosed;
}

std::string NatsReader::ControlInbox() const {
  return StrCat(environment_.inbox, ".c.", environment_.id, ".", attempt_);
}

void NatsReader::AskInfo(absl::Duration now) {
  state_ = State::kAskingInfo;
  answer_due_ = now + kAnswerLimit;
  ++attempt_;
  environment_.port->Send(StrCat("$JS.API.STREAM.INFO.", options_.stream), ControlInbox(), "");
}

void NatsReader::OnControl(uint64_t attempt, std::string_view payload, absl::Duration now,
                           std::vector<BusEvent>* events) {
  if (attempt != attempt_) return;
  if (state_ != State::kAskingInfo && state_ != State::kCreating) return;
  // A status without payload is "no responders": nobody serves the API at this moment.
  const absl::StatusOr<json> reply = ParseApiReply(payload);
  if (!reply.ok() && IsTransient(reply.status())) return MakeAnewAfterPause(now);
  if (state_ == State::kAskingInfo) {
    HandleInfo(reply, now, events);
  } else {
    HandleCreated(reply, now, events);
  }
}

void NatsReader::HandleInfo(const absl::StatusOr<json>& reply, absl::Duration now,
                            std::vector<BusEvent>* events) {
  if (!reply.ok()) {
    if (absl::IsNotFound(reply.status()) && options_.await_stream) return MakeAnewAfterPause(now);
    return Fail(reply.status(), events);
  }
  const int64_t created_ns = ParseServerTimeNs(reply->value("created", std::string()));
  if (created_ns <= 0) return MakeAnewAfterPause(now);  // it is just being made (streams_made.h)
  const json state = reply->value("state", json::object());
  const uint64_t first = state.value("first_seq", uint64_t{0});
  const uint64_t last = state.value("last_seq", uint64_t{0});
  if (created_ns_ != 0 && created_ns != created_ns_) {
    return Fail(absl::DataLossError(StrCat("stream ", options_.stream, " was deleted and made anew")),
                events);
  }
  created_ns_ = created_ns;
  // Asked for a start beyond the end, 2.9 starts somewhere else in silence and 2.11 waits.
  if (next_sequence_ > last + 1) {
    return Fail(absl::DataLossError(StrCat("stream ", options_.stream, " ends at ", last,
                                           ", behind sequence ", next_sequence_, ": it was rolled back")),
                events);
  }
  if (!options_.allow_gaps && first > next_sequence_) {
    return Fail(absl::DataLossError(StrCat("stream ", options_.stream, " begins at ", first, ": sequence ",
                                           next_sequence_, " is gone")),
                events);
  }
  CreateConsumer(now);
}

void NatsReader::CreateConsumer(absl::Duration now) {
  state_ = State::kCreating;
  answer_due_ = now + kAnswerLimit;
  consumer_ = StrCat(CleanHint(options_.name_hint), "-", environment_.name_suffix, "-", environment_.id, "-",
                     attempt_);
  last_consumer_sequence_ = 0;
  requests_.clear();
  requested_messages_ = 0;
  json request = {{"stream_name", options_.stream},
                  {"config",
                   {{"name", consumer_},
                    {"deliver_policy", "by_start_sequence"},
                    {"opt_start_seq", next_sequence_},
                    {"ack_policy", "none"},
                    {"replay_policy", "instant"},
                    {"headers_only", options_.headers_only},
                    {"inactive_threshold", absl::ToInt64Nanoseconds(kInactiveThreshold)},
                    {"num_replicas", 1},
                    {"mem_storage", true}}}};
  if (!options_.filter_subject.empty()) request["config"]["filter_subject"] = options_.filter_subject;
  environment_.port->Send(StrCat("$JS.API.CONSUMER.CREATE.", options_.stream, ".", consumer_), ControlInbox(),
                          request.dump());
}

void NatsReader::HandleCreated(const absl::StatusOr<json>& reply, absl::Duration now,
                               std::vector<BusEvent>* events) {
  if (!reply.ok()) {
    // Not found: the stream went between the two questions. The next round of them says which error it is.
    if (absl::IsNotFound(reply.status())) return MakeAnewAfterPause(now);
    return Fail(reply.status(), events);
  }
  state_ = State::kReading;
  last_heard_ = now;
  Request(now);
}

void NatsReader::OnStatus(uint64_t attempt, uint64_t request, const PullStatus& status, absl::Duration now) {
  if (attempt != attempt_ || state_ != State::kReading) return;
  last_heard_ = now;
  if (status.code == 100) return;  // idle heartbeat
  if (status.code == 503) return MakeAnewAfterPause(now);
  const bool too_large = status.description.find("MaxBytes") != std::string::npos;
  const bool ended = status.code == 404 || status.code == 408 || too_large ||
                     status.description.find("Batch Completed") != std::string::npos;
  // 409: consumer deleted, leadership changed, server shutting down. What was asked of it is void.
  if (!ended) return MakeAnewAfterPause(now);
  const auto it = std::find_if(requests_.begin(), requests_.end(),
                               [request](const PullRequest& r) { return r.number == request; });
  if (it == requests_.end()) return;
  const uint64_t unserved =
      status.pending_messages >= 0 ? static_cast<uint64_t>(status.pending_messages) : it->messages;
  requested_messages_ -= std::min<uint64_t>(requested_messages_, unserved);
  if (too_large && it->untouched) {
    // The server never takes a message beyond max_payload, with its headers and subjects a little more.
    const uint64_t ceiling = 2 * environment_.max_payload + kMessageOverheadBytes;
    wanted_bytes_ = std::min(2 * std::max<uint64_t>(it->bytes, kMessageOverheadBytes), ceiling);
  }
  requests_.erase(it);
  if (requested_messages_ == 0) requests_.clear();
  Request(now);
}

void NatsReader::OnMessage(uint64_t attempt, const AckSubject& ack, Message&& message, absl::Duration now,
                           std::vector<BusEvent>* events) {
  if (attempt != attempt_ || state_ != State::kReading) return;
  last_heard_ = now;
  const bool first_of_consumer = last_consumer_sequence_ == 0;
  if (ack.consumer_sequence != last_consumer_sequence_ + 1) return MakeAnew(now);
  const bool contiguous = ack.stream_sequence == next_sequence_;
  const bool rising = ack.stream_sequence >= next_sequence_;
  if (!contiguous && !(options_.allow_gaps && rising)) {
    // In the middle it may be the delivery that skipped something; a consumer made for exactly this sequence
    // that begins with another one says that the stream has lost it.
    if (!first_of_consumer) return MakeAnew(now);
    // Of three servers the one that has the consumer may lag behind the stream's leader, who has just said that
    // the stream goes so far: asked for a start beyond its own end, 2.9 begins there.
    if (!rising) return MakeAnewAfterPause(now);
    return Fail(absl::DataLossError(StrCat("stream ", options_.stream, " has no sequence ", next_sequence_,
                                           ": the next is ", ack.stream_sequence)),
                events);
  }
  failures_ = 0;
  wanted_bytes_ = 0;
  last_consumer_sequence_ = ack.consumer_sequence;
  next_sequence_ = ack.stream_sequence + 1;
  AccountFor(message);
  message.sequence = ack.stream_sequence;
  message.time_ns = ack.time_ns;
  BusEvent& event = events->emplace_back();
  event.type = BusEvent::Type::kMessage;
  event.reader = environment_.id;
  event.message = std::move(message);
}

// The server gives each message to the oldest request and puts that behind the others (consumer.go,
// waitQueue.pop): the same here tells when one is done.
void NatsReader::AccountFor(const Message& message) {
  ++undealt_messages_;
  undealt_bytes_ += message.payload.size();
  requested_messages_ -= std::min<uint64_t>(requested_messages_, 1);
  if (requested_messages_ == 0) return requests_.clear();
  if (requests_.empty()) return;
  PullRequest served = requests_.front();
  requests_.erase(requests_.begin());
  served.untouched = false;
  served.bytes -= std::min<uint64_t>(served.bytes, message.payload.size());
  if (--served.messages > 0) requests_.push_back(served);
}

void NatsReader::Grant(uint32_t messages, uint64_t bytes, absl::Duration now) {
  undealt_messages_ -= std::min<uint64_t>(undealt_messages_, messages);
  undealt_bytes_ -= std::min<uint64_t>(undealt_bytes_, bytes);
  Request(now);
}

void NatsReader::set_may_request(bool may, absl::Duration now) {
  const bool resumed = may && !may_request_;
  may_request_ = may;
  if (resumed) Request(now);
}

uint64_t NatsReader::RequestedBytes() const {
  uint64_t bytes = 0;
  for (const PullRequest& request : requests_) bytes += request.bytes;
  return bytes;
}

// Asks for what the window has left, in portions of it so that requests overlap.
void NatsReader::Request(absl::Duration now) {
  if (state_ != State::kReading || !may_request_ || requests_.size() >= kMaxRequests) return;
  const uint64_t used_messages = undealt_messages_ + requested_messages_;
  const uint64_t used_bytes = undealt_bytes_ + RequestedBytes();
  const uint64_t messages =
      options_.window_messages - std::min<uint64_t>(options_.window_messages, used_messages);
  const uint64_t bytes = options_.window_bytes - std::min(options_.window_bytes, used_bytes);
  // A single message may be larger than the window: alone, it is let through.
  if (undealt_messages_ == 0 && requests_.empty()) {
    return SendRequest(static_cast<uint32_t>(std::max<uint64_t>(1, messages)), std::max(bytes, wanted_bytes_),
                       now);
  }
  // While something is undealt a Grant will come, and with it another look here: asking for the few that each
  // Grant frees would cost the server a request for every turn of a busy partition.
  const uint64_t least_messages = std::max<uint64_t>(1, options_.window_messages / kWindowPortions);
  const uint64_t least_bytes = std::max(wanted_bytes_, options_.window_bytes / kWindowPortions);
  if (messages < least_messages) return;
  if (!options_.headers_only && bytes < least_bytes) return;
  SendRequest(static_cast<uint32_t>(messages), bytes, now);
}

void NatsReader::SendRequest(uint32_t messages, uint64_t bytes, absl::Duration now) {
  if (requests_.empty()) last_heard_ = now;
  json request = {{"batch", messages},
                  {"expires", absl::ToInt64Nanoseconds(kRequestExpires)},
                  {"idle_heartbeat", absl::ToInt64Nanoseconds(kIdleHeartbeat)}};
  if (options_.headers_only) {
    bytes = 0;
  } else {
    bytes = std::max(bytes, kMessageOverheadBytes);
    request["max_bytes"] = bytes;
  }
  requests_.push_back({++next_request_, messages, bytes});
  requested_messages_ += messages;
  environment_.port->Send(
      StrCat("$JS.API.CONSUMER.MSG.NEXT.", options_.stream, ".", consumer_),
      StrCat(environment_.inbox, ".r.", environment_.id, ".", attempt_, ".", next_request_), request.dump());
}

void NatsReader::OnReconnected(absl::Duration now) {
  if (state_ != State::kClosed) MakeAnew(now);
}

void NatsReader::Tick(absl::Duration now) {
  switch (state_) {
    case State::kResting:
      if (now >= resume_at_) AskInfo(now);
      return;
    case State::kAskingInfo:
    case State::kCreating:
      if (now >= answer_due_) MakeAnewAfterPause(now);
      return;
    case State::kReading:
      if (!requests_.empty() && now - last_heard_ > kSilenceLimit) MakeAnew(now);
      return;
    case State::kClosed:
      return;
  }
}

void NatsReader::MakeAnew(absl::Duration now) {
  DeleteConsumer();
  AskInfo(now);
}

void NatsReader::MakeAnewAfterPause(absl::Duration now) {
  DeleteConsumer();
  ++attempt_;  // what was asked before counts no more
  state_ = State::kResting;
  const absl::Duration ceiling = std::min(kMaxPause, kMinPause * (1 << std::min(failures_++, 8)));
  resume_at_ = now + ceiling * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

void NatsReader::DeleteConsumer() {
  if (consumer_.empty()) return;
  environment_.port->Send(StrCat("$JS.API.CONSUMER.DELETE.", options_.stream, ".", consumer_),
                          StrCat(environment_.inbox, ".d"), "");
  consumer_.clear();
  requests_.clear();
  requested_messages_ = 0;
}

void NatsReader::Fail(absl::Status status, std::vector<BusEvent>* events) {
  Close();
  BusEvent& event = events->emplace_back();
  event.type = BusEvent::Type::kReaderError;
  event.reader = environment_.id;
  event.status = std::move(status);
}

}  // namespace millrace
