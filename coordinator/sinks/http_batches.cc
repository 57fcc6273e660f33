#include "coordinator/sinks/http_batches.h"

#include <utility>

#include "common/strings.h"

namespace millrace {

std::string_view ContentTypeOf(HttpSinkSpec::Format format) {
  return format == HttpSinkSpec::Format::kLines ? "application/x-ndjson" : "application/json";
}

absl::Status HttpBatcher::Add(const HttpBatchLine& line) {
  const bool is_full =
      batch_.records >= sink_.batch_records || batch_.body.size() + line.json.size() + 2 > kMaxSinkBatchBytes;
  if (batch_.records > 0 && is_full) {
    if (const absl::Status sent = Finish(); !sent.ok()) return sent;
  }
  const bool is_array = sink_.format == HttpSinkSpec::Format::kArray;
  const std::string label = StrCat(line.partition.value(), ".", line.label.offset, ".", line.label.index);
  if (batch_.records == 0) batch_.first = label;
  batch_.last = label;
  if (is_array) batch_.body += batch_.records == 0 ? '[' : ',';
  batch_.body += line.json;
  if (!is_array) batch_.body += '\n';
  ++batch_.records;
  return absl::OkStatus();
}

absl::Status HttpBatcher::Finish() {
  if (batch_.records == 0) return absl::OkStatus();
  if (sink_.format == HttpSinkSpec::Format::kArray) batch_.body += ']';
  const HttpBatch batch = std::exchange(batch_, {});
  return send_(batch);
}

}  // namespace millrace
