#include "common/pipeline/header_codec.h"

#include <algorithm>

#include "common/frame/frame.h"
#include "common/frame/wire.h"

namespace millrace {
namespace {

template <typename List>
void Encode(const List& headers, std::string* raw) {
  raw->clear();
  wire::AppendVarint(raw, headers.size());
  for (const auto& [name, value] : headers) {
    wire::AppendText(raw, name);
    wire::AppendText(raw, value);
  }
}

}  // namespace

void EncodeHeaders(const std::vector<std::pair<std::string, std::string>>& headers, std::string* raw) {
  Encode(headers, raw);
}

absl::Status MergeHeaders(std::string_view base,
                          const std::vector<std::pair<std::string, std::string>>& overrides,
                          std::string* raw) {
  absl::StatusOr<HeaderList> headers = base.empty() ? HeaderList() : DecodeHeaders(base);
  if (!headers.ok()) return headers.status();
  HeaderList& merged = *headers;
  for (const auto& [name, value] : overrides) {
    const auto same =
        std::find_if(merged.begin(), merged.end(), [&](const auto& h) { return h.first == name; });
    if (same != merged.end()) {
      same->second = value;
    } else {
      merged.emplace_back(name, value);
    }
  }
  Encode(merged, raw);
  return absl::OkStatus();
}

}  // namespace millrace
