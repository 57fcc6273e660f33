#include "common/cluster/key_view.h"

#include <utility>

#include "common/clock.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxEventsAPoll = 1024;

ReaderOptions OptionsFor(const std::string& bucket, uint64_t start_sequence) {
  ReaderOptions options;
  options.stream = BucketStream(bucket);
  options.start_sequence = start_sequence;
  options.allow_gaps = true;
  options.await_stream = true;
  options.name_hint = StrCat("view-", bucket);
  return options;
}

// "$KV.<bucket>.<key>" -> key
std::string_view KeyOf(std::string_view subject, std::string_view bucket) {
  const size_t before = BucketSubjectPrefix(bucket).size();
  return subject.size() > before ? subject.substr(before) : std::string_view();
}

}  // namespace

KeyView::KeyView(Bus& bus, std::string bucket) : bus_(bus), bucket_(std::move(bucket)) {
  reader_ = bus_.OpenReader(OptionsFor(bucket_, 1));
}

KeyView::~KeyView() { bus_.CloseReader(reader_); }

bool KeyView::Handle(const BusEvent& event) {
  const bool of_reader = event.type == BusEvent::Type::kMessage || event.type == BusEvent::Type::kReaderError;
  if (!of_reader || event.reader != reader_) return false;
  if (event.type == BusEvent::Type::kReaderError) {
    // Rolled back, or another bucket under its name: what was read may never have been. Read all of it anew.
    entries_.clear();
    revision_ = 0;
    ++beginnings_;
    reader_ = bus_.OpenReader(OptionsFor(bucket_, 1));
    return true;
  }
  const Message& message = event.message;
  const std::string key(KeyOf(message.subject, bucket_));
  if (message.tombstone) {
    entries_.erase(key);
  } else {
    entries_[key] = KeyValue{key, message.payload, message.sequence, false, message.time_ns};
  }
  revision_ = message.sequence;
  bus_.Grant(reader_, 1, message.payload.size());
  return true;
}

const KeyValue* KeyView::Find(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

absl::StatusOr<bool> CatchUp::IsWhole(Bus& bus, const KeyView& view) {
  if (view.beginnings() != beginning_) {
    beginning_ = view.beginnings();
    end_.reset();
    whole_ = false;
  }
  if (whole_) return true;
  if (end_.has_value() && view.revision() < *end_) return false;
  const absl::StatusOr<StreamInfo> info = bus.GetStream(BucketStream(view.bucket()));
  if (!info.ok()) return info.status();
  end_ = info->messages == 0 ? 0 : info->last_sequence;
  whole_ = view.revision() >= *end_;
  return whole_;
}

absl::StatusOr<std::map<std::string, KeyValue, std::less<>>> ReadBucket(Bus& bus, const std::string& bucket) {
  KeyView view(bus, bucket);
  CatchUp progress;
  std::vector<BusEvent> events;
  const absl::Duration end = SystemClock().Monotonic() + kControlDeadline;
  while (true) {
    const absl::StatusOr<bool> whole = progress.IsWhole(bus, view);
    if (!whole.ok()) return whole.status();
    if (*whole) return view.entries();
    const absl::Duration left = end - SystemClock().Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(StrCat("bucket ", bucket, " could not be read to its end"));
    }
    events.clear();
    bus.Poll(left, kMaxEventsAPoll, &events);
    for (const BusEvent& event : events) view.Handle(event);
  }
}

}  // namespace millrace
