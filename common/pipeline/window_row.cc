#include "common/pipeline/window_row.h"

#include "common/frame/wire.h"

namespace millrace {
namespace {

absl::Status NoSuchRow() { return absl::DataLossError("a key's row is no row of open windows"); }

void AppendTime(int64_t ms, std::string* row) {
  char bytes[sizeof ms];
  wire::StoreFixed(bytes, ms);
  row->append(bytes, sizeof bytes);
}

bool TakeTime(std::string_view* rest, int64_t* ms) {
  if (rest->size() < sizeof *ms) return false;
  *ms = wire::LoadFixed<int64_t>(rest->data());
  rest->remove_prefix(sizeof *ms);
  return true;
}

}  // namespace

void WindowRowFormat::AppendHead(const Head& head, std::string* row) const {
  if (!sessions()) return;
  AppendTime(head.noted_ms, row);
  wire::AppendVarint(row, head.records);
}

void WindowRowFormat::Append(const OpenWindow& window, std::string* row) const {
  AppendTime(window.start_ms, row);
  if (sessions()) {
    AppendTime(window.end_ms, row);
    AppendTime(static_cast<int64_t>(window.id), row);
    row->append(window.arrivals);
  }
  wire::AppendText(row, window.state);
}

absl::Status WindowRowFormat::TakeHead(std::string_view* rest, Head* head) const {
  *head = {};
  if (!sessions()) return absl::OkStatus();
  if (!TakeTime(rest, &head->noted_ms)) return NoSuchRow();
  const char* const end = rest->data() + rest->size();
  const char* const next = wire::LoadVarint(rest->data(), end, &head->records);
  if (next == nullptr) return NoSuchRow();
  rest->remove_prefix(static_cast<size_t>(next - rest->data()));
  return absl::OkStatus();
}

absl::Status WindowRowFormat::Take(std::string_view* rest, OpenWindow* window) const {
  *window = {};
  if (!TakeTime(rest, &window->start_ms)) return NoSuchRow();
  if (sessions()) {
    int64_t id = 0;
    if (!TakeTime(rest, &window->end_ms) || !TakeTime(rest, &id) || rest->size() < arrivals_bytes_) {
      return NoSuchRow();
    }
    window->id = static_cast<uint64_t>(id);
    window->arrivals = rest->substr(0, arrivals_bytes_);
    rest->remove_prefix(arrivals_bytes_);
  } else {
    window->end_ms = window->start_ms + size_ms_;
    window->id = static_cast<uint64_t>(window->start_ms);
  }
  const char* const next = wire::LoadText(rest->data(), rest->data() + rest->size(), &window->state);
  if (next == nullptr) return NoSuchRow();
  rest->remove_prefix(static_cast<size_t>(next - rest->data()));
  return absl::OkStatus();
}

}  // namespace millrace
