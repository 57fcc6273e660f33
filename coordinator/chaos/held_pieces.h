// What one direction of a link keeps before it sends it on, in order, each piece with the time from which it
// may go.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace millrace::chaos {

using LinkTime = std::chrono::steady_clock::time_point;

int64_t CountOf(const std::string& text, const std::string& needle);

// Pure. Not thread-safe.
class HeldPieces {
 public:
  // A piece never goes before the one that came before it.
  void Add(std::string bytes, LinkTime due);
  bool empty() const { return pieces_.empty(); }
  size_t bytes() const { return bytes_; }
  LinkTime next_due() const { return pieces_.front().due; }  // REQUIRES: !empty()
  // REQUIRES: !empty()
  std::string Take();
  // That share of the bytes, from the front; what is left is one piece, due at `now`.
  std::string TakeShare(double share, LinkTime now);
  // How often `needle` is in what is kept, also across pieces.
  int64_t Count(const std::string& needle) const;

 private:
  struct Piece {
    LinkTime due;
    std::string bytes;
  };
  std::string All() const;

  std::deque<Piece> pieces_;
  size_t bytes_ = 0;
};

}  // namespace millrace::chaos
