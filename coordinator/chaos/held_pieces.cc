#include "coordinator/chaos/held_pieces.h"

#include <algorithm>
#include <utility>

namespace millrace::chaos {

int64_t CountOf(const std::string& text, const std::string& needle) {
  int64_t count = 0;
  for (size_t at = text.find(needle); at != std::string::npos; at = text.find(needle, at + needle.size())) {
    ++count;
  }
  return count;
}

void HeldPieces::Add(std::string bytes, LinkTime due) {
  if (!pieces_.empty()) due = std::max(due, pieces_.back().due);
  bytes_ += bytes.size();
  pieces_.push_back({due, std::move(bytes)});
}

std::string HeldPieces::Take() {
  std::string bytes = std::move(pieces_.front().bytes);
  pieces_.pop_front();
  bytes_ -= bytes.size();
  return bytes;
}

std::string HeldPieces::TakeShare(double share, LinkTime now) {
  std::string all = All();
  const auto part = static_cast<size_t>(static_cast<double>(all.size()) * share);
  pieces_.clear();
  bytes_ = 0;
  if (part < all.size()) Add(all.substr(part), now);
  all.resize(part);
  return all;
}

int64_t HeldPieces::Count(const std::string& needle) const { return CountOf(All(), needle); }

std::string HeldPieces::All() const {
  std::string all;
  for (const Piece& piece : pieces_) all += piece.bytes;
  return all;
}

}  // namespace millrace::chaos
