// A bucket as its log says it stands: follows the bucket's stream with a reader and keeps the newest value of
// each key.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/bus/bus.h"

namespace millrace {

// Fed by whoever polls the bus: give it every event of its reader. Not thread-safe.
class KeyView {
 public:
  // Opens a reader on the bucket's stream, from its first revision.
  KeyView(Bus& bus, std::string bucket);
  ~KeyView();
  KeyView(const KeyView&) = delete;
  KeyView& operator=(const KeyView&) = delete;

  ReaderId reader() const { return reader_; }
  // True when the event was this view's. The view reopens its reader by itself after an error.
  bool Handle(const BusEvent& event);

  const std::map<std::string, KeyValue, std::less<>>& entries() const { return entries_; }
  const KeyValue* Find(std::string_view key) const;
  // The last revision applied.
  uint64_t revision() const { return revision_; }
  // How often it has begun to read from the first revision: more than once after errors.
  uint64_t beginnings() const { return beginnings_; }
  const std::string& bucket() const { return bucket_; }

 private:
  Bus& bus_;
  const std::string bucket_;
  ReaderId reader_ = 0;
  uint64_t revision_ = 0;
  uint64_t beginnings_ = 1;
  std::map<std::string, KeyValue, std::less<>> entries_;
};

// Tells when a view may be believed: from the moment at which it held the whole bucket, until it begins anew.
// To have come to the end as it was when asked first is not enough: a key that is put again meanwhile moves
// behind that end, its old revision is gone, and the view has passed both without having seen it. Not
// thread-safe.
class CatchUp {
 public:
  // Asks the bus, once each time that the view has come to the end as known. Errors: the bus's.
  absl::StatusOr<bool> IsWhole(Bus& bus, const KeyView& view);

 private:
  uint64_t beginning_ = 0;       // of the view that the rest is about
  std::optional<uint64_t> end_;  // the bucket's, when asked last
  bool whole_ = false;
};

// The bucket as it stands now, read once with the bus's own Poll in this thread: for command lines. Errors:
// DEADLINE_EXCEEDED, NOT_FOUND when there is no such bucket.
absl::StatusOr<std::map<std::string, KeyValue, std::less<>>> ReadBucket(Bus& bus, const std::string& bucket);

}  // namespace millrace
