// What Millrace needs of a broker: streams, appends, readers and keys made once. NatsBus is the real one;
// MemoryBus (tests) keeps the same contract. A simulator can be a third.
//
// Two planes. The control plane blocks, for at most `kControlDeadline`, and is for openers, the leader and
// the command line. The data plane waits for no answer: Append, OpenReader and Grant only send; what comes of
// them is returned by Poll as events, in one thread (the pull loop) that the caller owns. Sending itself can
// wait when the server takes nothing and the socket is full, for at most `kWriteDeadline`; then the
// connection counts as lost. Nothing runs in a NATS callback but a push to a queue.
//
// Errors, by what the caller can do: UNAVAILABLE or DEADLINE_EXCEEDED, wait and ask again (the outcome is
// unknown); NOT_FOUND / ALREADY_EXISTS, the world differs; FAILED_PRECONDITION, refused, do not repeat;
// RESOURCE_EXHAUSTED, the stream or the server is full; PERMISSION_DENIED, the server does not let this user
// (told of the control plane alone, and when its deadline is over).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/user_headers.h"

namespace millrace {

inline constexpr absl::Duration kControlDeadline = absl::Seconds(10);
inline constexpr absl::Duration kWriteDeadline = absl::Seconds(10);

struct StreamConfig {
  std::string name;
  std::vector<std::string> subjects;
  std::string description;  // ours: "millrace <uid>"; tells our stream from somebody else's of that name
  int64_t max_bytes = -1;   // refuses new messages when full (discard new); -1: no limit
  int replicas = 1;
  absl::Duration duplicate_window = absl::Seconds(1);
};

struct StreamInfo {
  StreamConfig config;
  int64_t created_ns = 0;  // its identity: a stream made anew under its name differs
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
};

struct Message {
  uint64_t sequence = 0;  // in its stream
  int64_t time_ns = 0;    // the broker's, since the epoch
  std::string subject;
  std::string header;  // the value of our header (see message_header.h), empty for a stranger's message
  std::string payload;
  UserHeaders user_headers = {};  // where the reader asked for them
  bool tombstone = false;         // in a bucket: the key was deleted by this message
};

// --- control plane: keys

struct KeyValue {
  std::string key;
  std::string value;
  uint64_t revision = 0;  // sequence in the bucket's stream
  bool deleted = false;
  int64_t time_ns = 0;
};

// --- data plane

using ReaderId = uint64_t;

struct ReaderOptions {
  std::string stream;
  uint64_t start_sequence = 1;
  bool headers_only = false;        // payloads stay empty
  bool user_headers = false;        // Message::user_headers are wanted
  std::string filter_subject = {};  // only messages of these subjects, with allow_gaps; empty: all
  bool allow_gaps = false;          // for buckets, where superseded revisions are gone
  bool await_stream = false;        // a stream that is not there is waited for instead of NOT_FOUND
  std::string name_hint;            // goes into the consumer's name, with an attempt number; never reused
  // Flow control: what may be requested and not yet granted back.
  uint32_t window_messages = 1024;
  uint64_t window_bytes = 8 << 20;
};

struct AppendRequest {
  std::string_view subject;
  std::string_view header;  // our header's value; empty sends none
  std::string_view payload;
  std::optional<uint64_t> expected_last_sequence;
  std::string_view message_id;  // Nats-Msg-Id; empty sends none
  uint64_t cookie = 0;          // comes back with the outcome
  // Nats-Rollup: the subject's older messages go. AppendAndWait only; the stream must allow it.
  bool replaces_subject = false;
  // Sent, too. REQUIRES: IsUserHeader and CanBeSent hold for each. Outlives the call; null: none.
  const UserHeaders* user_headers = nullptr;
};

struct BusEvent {
  enum class Type {
    kMessage,      // reader, message
    kReaderError,  // reader, status: DATA_LOSS on a gap, NOT_FOUND when the stream is gone. The reader is
                   // closed.
    kAppended,     // cookie, sequence; status OK, or FAILED_PRECONDITION (wrong expected sequence),
                   // RESOURCE_EXHAUSTED (full), UNAVAILABLE (no responders: ambiguous), NOT_FOUND (no such
                   // stream). A lost ack gives no event: the caller keeps the deadline.
    kReconnected,  // the connection was lost and is back: outstanding appends may be lost
    kDisconnected,
  };
  Type type;
  ReaderId reader = 0;
  Message message;
  uint64_t cookie = 0;
  uint64_t sequence = 0;
  absl::Status status;
};

struct ServerInfo {
  std::string version;
  std::string server_name;
  int64_t max_payload = 0;
  bool jetstream = false;
};

class Bus {
 public:
  virtual ~Bus() = default;

  // --- control plane (blocking, thread-safe)
  virtual absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config) = 0;  // same config again: OK
  virtual absl::StatusOr<StreamInfo> GetStream(const std::string& name) = 0;
  virtual absl::Status DeleteStream(const std::string& name) = 0;
  // Deletes the stream's messages up to this sequence, which stays used.
  virtual absl::Status PurgeStream(const std::string& name, uint64_t up_to) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListStreams() = 0;
  virtual absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) = 0;
  virtual absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) = 0;
  // Appends and waits for the ack. After an ambiguous outcome the caller reads the tail back.
  virtual absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) = 0;

  virtual absl::Status CreateBucket(const std::string& bucket, int replicas = 1) = 0;  // exists: OK
  // Made once: ALREADY_EXISTS when the key was ever made and not deleted. After an ambiguous answer it reads
  // the key back: OK only when the key holds `value`, which the caller makes unique.
  virtual absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                             std::string_view value) = 0;
  virtual absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                          std::string_view value) = 0;
  // Where the key still is as of `revision`; ABORTED when somebody has put or deleted it since. After an ambiguous
  // answer it reads the key back, as CreateKey does.
  virtual absl::StatusOr<uint64_t> UpdateKey(const std::string& bucket, const std::string& key,
                                             std::string_view value, uint64_t revision) = 0;
  virtual absl::StatusOr<KeyValue> GetKey(const std::string& bucket,
                                          const std::string& key) = 0;  // through the leader; NOT_FOUND
  virtual absl::Status DeleteKey(const std::string& bucket, const std::string& key) = 0;

  // Core NATS request and reply, for asking an owner. A handler runs on a thread of the bus and must only
  // enqueue; it answers later, from any thread, with Reply. Serving a subject again replaces its handler, and
  // an empty handler ends the service. At kMaxPendingRequests that a handler did not take yet, more are
  // dropped.
  virtual absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                              absl::Duration timeout) = 0;
  struct Incoming {
    std::string subject;
    std::string payload;
    std::string reply_to;
  };
  static constexpr int kMaxPendingRequests = 1024;
  virtual absl::Status Serve(const std::string& subject, std::function<void(Incoming)> handler) = 0;
  virtual absl::Status Reply(const std::string& reply_to, std::string_view payload) = 0;

  virtual absl::StatusOr<ServerInfo> Server() = 0;

  // --- data plane (waits for no answer; thread-safe, but Poll belongs to one thread)
  virtual ReaderId OpenReader(const ReaderOptions& options) = 0;
  virtual void CloseReader(ReaderId reader) = 0;
  // Gives back part of a reader's window: `messages` with `bytes` (of their payloads) were dealt with.
  virtual void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) = 0;
  // OK: sent, the outcome will come from Poll or never. UNAVAILABLE: not sent (disconnected, buffer full).
  // INVALID_ARGUMENT: larger than the server takes.
  virtual absl::Status Append(const AppendRequest& request) = 0;
  // Flushes what Append buffered.
  virtual void Flush() = 0;
  // Appends what has happened to `events`, waiting up to `wait` for the first; at most `max_events`. Returns
  // how many.
  virtual size_t Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) = 0;
  // Makes a Poll that waits return. Any thread.
  virtual void Wake() = 0;
};

}  // namespace millrace
