// One reader of a stream: a consumer of its own, fed by our own pull requests (ADR-13, ADR-37), made again
// whenever what arrives is not what must come next.
//
//   resting -> asking the stream's info -> creating the consumer -> reading -> (anything odd) -> resting …
//
// A consumer without acks never redelivers, so the reader trusts nothing but the sequences: its consumer's
// are contiguous, or it makes a new one that starts behind the last message handed out. Pure but for the
// port it sends through; the bus feeds it under its lock.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/nats_wire.h"

namespace millrace {

// What a reader sends through. A message that could not be sent is lost; timeouts find that out.
class ReaderPort {
 public:
  virtual ~ReaderPort() = default;
  virtual void Send(const std::string& subject, const std::string& reply_to, const std::string& payload) = 0;
};

// A message without payload that the server sends about a request: "NATS/1.0 409 Consumer Deleted".
struct PullStatus {
  int code = 0;
  std::string description;
  int64_t pending_messages = -1;  // of the request that ended; -1: not said
};

class NatsReader {
 public:
  struct Environment {
    ReaderId id = 0;
    std::string inbox;        // replies come to <inbox>.c.<id>.<attempt>, <inbox>.r.<id>.<attempt>.<request>
    std::string name_suffix;  // makes consumer names unique among all processes
    uint64_t max_payload = 1 << 20;
    uint64_t seed = 0;
    ReaderPort* port = nullptr;
  };

  NatsReader(ReaderOptions options, Environment environment);

  void Start(absl::Duration now);
  // Forgets the consumer; as a courtesy tells the server.
  void Close();
  void Grant(uint32_t messages, uint64_t bytes, absl::Duration now);

  // What came for it. Events go to the end of `events`; after a kReaderError it is closed.
  void OnControl(uint64_t attempt, std::string_view payload, absl::Duration now,
                 std::vector<BusEvent>* events);
  void OnStatus(uint64_t attempt, uint64_t request, const PullStatus& status, absl::Duration now);
  void OnMessage(uint64_t attempt, const AckSubject& ack, Message&& message, absl::Duration now,
                 std::vector<BusEvent>* events);
  void OnReconnected(absl::Duration now);
  void Tick(absl::Duration now);
  // Whether it may ask for more; the bus says no while too much is waiting for Poll.
  void set_may_request(bool may, absl::Duration now);

  bool closed() const { return state_ == State::kClosed; }
  bool wants_user_headers() const { return options_.user_headers; }
  uint64_t attempt() const { return attempt_; }
  const std::string& consumer() const { return consumer_; }

 private:
  enum class State { kResting, kAskingInfo, kCreating, kReading, kClosed };
  struct PullRequest {
    uint64_t number = 0;
    uint32_t messages = 0;
    uint64_t bytes = 0;
    bool untouched = true;
  };

  void AskInfo(absl::Duration now);
  void HandleInfo(const absl::StatusOr<nlohmann::json>& reply, absl::Duration now,
                  std::vector<BusEvent>* events);
  void CreateConsumer(absl::Duration now);
  void HandleCreated(const absl::StatusOr<nlohmann::json>& reply, absl::Duration now,
                     std::vector<BusEvent>* events);
  // Gives this consumer up and makes another, at once or after a pause that grows.
  void MakeAnew(absl::Duration now);
  void MakeAnewAfterPause(absl::Duration now);
  void DeleteConsumer();
  void Fail(absl::Status status, std::vector<BusEvent>* events);
  void Request(absl::Duration now);
  void SendRequest(uint32_t messages, uint64_t bytes, absl::Duration now);
  void AccountFor(const Message& message);
  uint64_t RequestedBytes() const;
  std::string ControlInbox() const;

  const ReaderOptions options_;
  const Environment environment_;
  std::mt19937_64 random_;

  State state_ = State::kResting;
  absl::Duration resume_at_ = absl::InfiniteDuration();   // kResting
  absl::Duration answer_due_ = absl::InfiniteDuration();  // kAskingInfo, kCreating
  absl::Duration last_heard_ = absl::ZeroDuration();      // kReading: message, status or heartbeat
  int failures_ = 0;                                      // since something last arrived
  uint64_t attempt_ = 0;
  std::string consumer_;
  int64_t created_ns_ = 0;  // the stream's identity, once known

  uint64_t next_sequence_;               // of the stream: nothing below it is handed out any more
  uint64_t last_consumer_sequence_ = 0;  // of this consumer
  uint64_t next_request_ = 0;
  std::vector<PullRequest> requests_;  // in the order in which the server serves them next
  uint64_t requested_messages_ = 0;    // exact, by the server's own account
  uint64_t undealt_messages_ = 0;      // handed out and not granted back
  uint64_t undealt_bytes_ = 0;
  uint64_t wanted_bytes_ = 0;  // the next message did not fit into a request: ask for so much
  bool may_request_ = true;
};

}  // namespace millrace
