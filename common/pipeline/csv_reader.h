// Lines of a CSV source to rows: RFC 4180 quoting within one line, names from a header row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/frame/frame.h"

namespace millrace {

// Not thread-safe; reuses its buffers.
//
// A field without quotes and without text is null. One that looks like a number (as JSON writes it, so that
// `007` does not) is a number, in quotes or not, unless the column's type is "string".
class CsvReader {
 public:
  // `types`: column -> "string" | "number".
  explicit CsvReader(std::map<std::string, std::string> types) : types_(std::move(types)) {}

  // INVALID_ARGUMENT: malformed, more columns than a row has fields, a column without a name or of a name
  // there is already, a type for a column that the header does not have.
  absl::Status SetHeader(std::string_view line);

  // INVALID_ARGUMENT: malformed quoting, another number of fields than the header has, no number where one
  // must be. The views below are valid until the next call.
  absl::Status Parse(std::string_view line);

  bool HasColumn(std::string_view name) const { return Find(name).has_value(); }
  const FieldNames& fields() const { return fields_; }
  std::string_view bytes() const { return packed_; }  // the row's
  // The column's text as it was written, without the quotes; nullopt: no such column, or null.
  std::optional<std::string_view> Text(std::string_view column) const;
  // Whether the column's value became a number. REQUIRES: Text gave one.
  bool IsNumber(std::string_view column) const;

 private:
  enum class Type : uint8_t { kGuess, kString, kNumber };
  struct Cell {
    std::string_view text;
    bool null = false;
    bool number = false;
  };

  absl::Status Split(std::string_view line);
  absl::Status Pack(Cell& cell, Type type, std::string_view name);
  std::optional<size_t> Find(std::string_view column) const;

  const std::map<std::string, std::string> types_;
  std::vector<std::string> names_;
  std::vector<Type> column_types_;
  FieldNames fields_;
  std::vector<Cell> cells_;
  std::string unquoted_;  // the text of quoted fields; reserved for a whole line, so that views stay
  std::string packed_;
};

}  // namespace millrace
