// As much of the NATS protocol as a reader from outside needs: requests, and streams message by message with
// all their headers. Nothing of what it looks at comes from the code under test.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace millrace::chaos {

struct PlainMessage {
  uint64_t sequence = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string payload;

  // Empty when there is none of that name.
  std::string_view Header(std::string_view name) const;
  // Takes the headers out of "NATS/1.0 404 No Messages\r\nName: value\r\n…", and what stands behind the
  // version.
  void TakeHeaderBlock(std::string_view block, std::string* status);
};

// Blocking, one request at a time; a connection that broke is made again by the next request. Not
// thread-safe.
class PlainNats {
 public:
  // Where a URL nats://[user[:password]@]host[:port] points. INVALID_ARGUMENT otherwise.
  struct Address {
    std::string host = "127.0.0.1";
    uint16_t port = 4222;
    std::string user, password;
  };
  static absl::StatusOr<Address> ParseUrl(std::string_view url);
  // Several, separated by commas.
  static absl::StatusOr<std::vector<Address>> ParseUrls(std::string_view urls);

  // Connected to one of them, to another when that is gone. REQUIRES: not empty.
  explicit PlainNats(std::vector<Address> addresses) : addresses_(std::move(addresses)) {}
  ~PlainNats();
  PlainNats(const PlainNats&) = delete;
  PlainNats& operator=(const PlainNats&) = delete;

  static constexpr absl::Duration kApiTimeout = absl::Seconds(5);

  // UNAVAILABLE: no connection, nobody answers, or not in time.
  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout = absl::Seconds(2));
  // $JS.API.<call>. NOT_FOUND, FAILED_PRECONDITION: what the server answers.
  absl::StatusOr<nlohmann::json> Api(const std::string& call, const nlohmann::json& body = nullptr,
                                     absl::Duration timeout = kApiTimeout);
  // Into a stream, with these headers; the sequence that it got there.
  absl::StatusOr<uint64_t> Append(const std::string& subject, const PlainMessage& message,
                                  absl::Duration timeout = kApiTimeout);

  // One stored message: `which` is {"seq":…} or {"last_by_subj":…}. NOT_FOUND: there is none.
  absl::StatusOr<PlainMessage> Stored(const std::string& stream, const nlohmann::json& which,
                                      absl::Duration timeout = kApiTimeout);
  // Every message that the stream holds now, in order.
  absl::Status ReadAll(const std::string& stream, const std::function<void(PlainMessage)>& visit);

 private:
  struct Frame {  // what the server sends
    std::string subject, reply;
    PlainMessage message;
    std::string status;  // "404 No Messages"; empty for a message
  };
  absl::Status Connect();
  absl::Status ConnectTo(const Address& address);
  void Disconnect();
  absl::Status Send(std::string_view bytes);
  absl::Status Fill(absl::Time deadline);
  absl::StatusOr<std::string> Line(absl::Time deadline);
  absl::StatusOr<std::string> Bytes(size_t count, absl::Time deadline);
  absl::StatusOr<Frame> Next(absl::Time deadline);
  absl::StatusOr<Frame> Ask(const std::string& subject, std::string_view header, std::string_view payload,
                            absl::Duration timeout);
  std::string NewInbox();
  absl::Status ReadBatches(const std::string& stream, const std::string& consumer, uint64_t last,
                           const std::function<void(PlainMessage)>& visit);

  const std::vector<Address> addresses_;
  size_t at_ = 0;  // of the addresses: the one connected to
  int fd_ = -1;
  std::string buffer_;
  size_t used_ = 0;  // of the buffer
  uint64_t next_inbox_ = 0;
};

}  // namespace millrace::chaos
