// A JetStream stream as an ingest's input: each message is a record, its sequence is its position.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "coordinator/ingest/record_input.h"

namespace millrace {

struct StreamInputOptions {
  std::string stream;
  std::string subject;  // only messages of it; empty: all
  uint64_t max_record_bytes = 1 << 20;
  // Of messages that were received and not yet told.
  uint32_t window_messages = 8192;
  uint64_t window_bytes = 16 << 20;
};

// Not thread-safe; events come from whoever polls the bus.
class StreamInput final : public RecordInput {
 public:
  StreamInput(StreamInputOptions options, Bus& bus) : options_(std::move(options)), bus_(bus) {}
  ~StreamInput() override;
  StreamInput(const StreamInput&) = delete;
  StreamInput& operator=(const StreamInput&) = delete;

  void StartAt(uint64_t position) override { start_ = position_ = position; }
  void Expect(std::vector<InputPoint> /*points*/) override {}
  bool Handle(BusEvent& event) override;
  // Never kEnd, and kTooLong for a message beyond max_record_bytes. A message that is empty is passed over.
  // Errors: NOT_FOUND, the stream is gone.
  absl::StatusOr<Event> Next(InputLine* line) override;
  uint64_t position() const override { return position_; }
  // The stream's own identity tells it from another.
  std::optional<InputPoint> point() const override { return std::nullopt; }

 private:
  void Open();
  void GrantBack();

  const StreamInputOptions options_;
  Bus& bus_;
  std::optional<ReaderId> reader_;
  absl::Status error_;
  std::deque<Message> waiting_;
  Message current_;          // whose text was told last
  std::string raw_headers_;  // its headers
  uint64_t start_ = 0;
  uint64_t position_ = 0;
  uint32_t told_messages_ = 0;  // since the last grant
  uint64_t told_bytes_ = 0;
};

}  // namespace millrace
