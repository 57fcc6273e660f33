// A TCP link of ours between one process and NATS: what passes can be held, let go late, delayed, lost for a
// while, cut, each direction by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace::chaos {

enum class Direction { kToServer, kToClient };

// Bytes that one direction of one connection keeps before it stops reading: its sender then waits, as on a
// full network.
inline constexpr size_t kMaxHeldBytes = 32 << 20;
// How long a lost packet and all that follows it wait for its repeat: Linux's least timeout.
inline constexpr absl::Duration kRepeatAfter = absl::Milliseconds(200);

// Thread-safe; each call takes effect before it returns.
class Proxy {
 public:
  // Listens on a free port of 127.0.0.1, with a thread of its own. The servers need not be there yet: each
  // connection leads to the first that accepts it. REQUIRES: not empty.
  static absl::StatusOr<std::unique_ptr<Proxy>> Start(std::vector<uint16_t> server_ports);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  uint16_t port() const;

  // Keeps everything of that direction, on every connection.
  void Hold(Direction direction);
  // Keeps what goes to the server on a connection, from the first piece on that holds `needle`.
  void HoldFrom(const std::string& needle);
  // Lets that share of the held bytes go; 1 ends the holding.
  void Release(double share);
  void Delay(Direction direction, absl::Duration delay);
  // Each piece waits for a repeat with this probability, and all behind it with it. 0 ends it.
  void Lose(double probability, uint64_t seed);
  // Resets every connection; what was held is lost. Returns how many there were.
  int Reset();
  // How many there are now.
  int Connections();

  // How often `needle` is in what is held.
  int Held(const std::string& needle);
  // Counts from now on how often `needle` comes that way (a needle that two pieces share is not counted).
  void Count(Direction direction, const std::string& needle);
  int64_t Counted(const std::string& needle);
  // Bytes that had to wait (held, delayed or lost at first) so far, and pieces that were lost.
  int64_t WaitedBytes();
  int64_t LostPieces();

 private:
  class Loop;
  explicit Proxy(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace millrace::chaos
