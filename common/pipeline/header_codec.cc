#include "common/pipeline/header_codec.h"

#include <algorithm>

#include "common/frame/frame.h"
#include "common/frame/wire.h"

namespace millrace {
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
  raw->clear();
  wire::AppendVarint(raw, merged.size());
  for (const auto& [name, value] : merged) {
    wire::AppendText(raw, name);
    wire::AppendText(raw, value);
  }
  return absl::OkStatus();
}

}  // namespace millrace
