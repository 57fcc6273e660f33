// Headers that user code adds to those that a record came with.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace millrace {

// Puts into `raw` headers, encoded as RecordView::raw_headers.
void EncodeHeaders(const std::vector<std::pair<std::string, std::string>>& headers, std::string* raw);

// Puts into `raw` the headers of `base` (encoded as RecordView::raw_headers) with `overrides` in their place
// or behind them. DATA_LOSS when `base` is malformed.
absl::Status MergeHeaders(std::string_view base,
                          const std::vector<std::pair<std::string, std::string>>& overrides,
                          std::string* raw);

}  // namespace millrace
