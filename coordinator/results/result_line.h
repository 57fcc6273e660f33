// A result as text: the line of `results -o jsonl`, and its csv and raw forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/frame/frame.h"
#include "common/ids.h"

namespace millrace {

// Appends `{"key":…,"value":…,"partition":…,"offset":…,"index":…,"time":…}` and a newline. Key or value that
// is not UTF-8 comes as `key_base64`, `value_base64`; a record without a time has no `time`.
void AppendResultLine(const RecordView& record, PartitionId partition, std::string* out);

// Appends a member `"name":text`, or `"name_base64":…` when the text is not UTF-8.
void AppendTextMember(std::string_view name, std::string_view text, std::string* out);
// The same for a record's value, of any shape.
void AppendValueMember(std::string_view name, const RecordView& record, std::string* out);

// Appends the value alone and a newline: raw bytes and strings as they are, anything else as JSON.
void AppendRawLine(const RecordView& record, std::string* out);

// Rows of comma-separated values (RFC 4180). The columns are the key, the fields of the first value, and the
// label. A later field that has no column is an error, since it would be lost. Not thread-safe.
class CsvResultWriter {
 public:
  // INVALID_ARGUMENT for a value that does not fit the columns.
  absl::Status Append(const RecordView& record, PartitionId partition, std::string* out);

 private:
  bool header_written_ = false;
  std::vector<std::string> columns_;  // of the value
};

}  // namespace millrace
