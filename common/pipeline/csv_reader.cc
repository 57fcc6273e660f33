#include "common/pipeline/csv_reader.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "common/strings.h"
#include "common/value/json_number.h"
#include "common/value/msgpack.h"

namespace millrace {
namespace {

bool PackNumber(std::string_view text, PackWriter& writer) {
  const JsonNumber kind = ClassifyNumber(text);
  if (kind == JsonNumber::kNone) return false;
  const char* const end = text.data() + text.size();
  if (kind == JsonNumber::kInteger) {
    int64_t value = 0;
    if (std::from_chars(text.data(), end, value).ec == std::errc()) {
      writer.Int(value);
      return true;
    }
    uint64_t large = 0;
    if (text.front() != '-' && std::from_chars(text.data(), end, large).ec == std::errc()) {
      writer.Uint(large);
      return true;
    }
  }
  double real = 0;
  if (std::from_chars(text.data(), end, real).ec != std::errc()) return false;
  writer.Double(real);
  return true;
}

constexpr size_t kShownCellBytes = 40;  // of a cell, in a message
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view WithoutLineEnd(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

absl::Status CsvReader::Split(std::string_view line) {
  line = WithoutLineEnd(line);
  cells_.clear();
  unquoted_.clear();
  unquoted_.reserve(line.size());
  size_t at = 0;
  while (true) {
    if (at < line.size() && line[at] == '"') {
      const size_t begin = unquoted_.size();
      for (++at;; ++at) {
        const size_t quote = line.find('"', at);
        if (quote == line.npos) {
          return absl::InvalidArgumentError(
              StrCat("not CSV: field ", cells_.size() + 1, " opens a quote that the line does not close"));
        }
        unquoted_.append(line, at, quote - at);
        at = quote + 1;
        if (at >= line.size() || line[at] != '"') break;
        unquoted_.push_back('"');
      }
      if (at < line.size() && line[at] != ',') {
        return absl::InvalidArgumentError(
            StrCat("not CSV: text behind the closing quote of field ", cells_.size() + 1));
      }
      cells_.push_back({std::string_view(unquoted_).substr(begin)});
    } else {
      const size_t comma = std::min(line.find(',', at), line.size());
      const std::string_view text = line.substr(at, comma - at);
      cells_.push_back({text, text.empty()});
      at = comma;
    }
    if (at >= line.size()) return absl::OkStatus();
    ++at;
  }
}

absl::Status CsvReader::SetHeader(std::string_view line) {
  if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  names_.clear();
  if (const absl::Status split = Split(line); !split.ok()) return split;
  if (cells_.size() > kMaxShapeFields) {
    return absl::InvalidArgumentError(StrCat("CSV header: ", cells_.size(),
                                             " columns — a record has at most ", kMaxShapeFields,
                                             " fields — try to leave columns out"));
  }
  std::vector<std::string> names;
  for (const Cell& cell : cells_) {
    if (cell.text.empty()) {
      return absl::InvalidArgumentError(
          StrCat("CSV header: column ", names.size() + 1, " has no name — the first line must name them"));
    }
    if (std::find(names.begin(), names.end(), cell.text) != names.end()) {
      return absl::InvalidArgumentError(StrCat("CSV header: two columns are called `", cell.text, "`"));
    }
    names.emplace_back(cell.text);
  }
  for (const auto& [column, type] : types_) {
    if (std::find(names.begin(), names.end(), column) == names.end()) {
      return absl::InvalidArgumentError(
          StrCat("CSV header: there is no column `", column, "`, which `types` names"));
    }
  }
  names_ = std::move(names);
  fields_.assign(names_.begin(), names_.end());
  column_types_.clear();
  for (const std::string& name : names_) {
    const auto type = types_.find(name);
    column_types_.push_back(type == types_.end()       ? Type::kGuess
                            : type->second == "string" ? Type::kString
                                                       : Type::kNumber);
  }
  return absl::OkStatus();
}

absl::Status CsvReader::Pack(Cell& cell, Type type, std::string_view name) {
  PackWriter writer(&packed_);
  if (cell.null) {
    writer.Nil();
    return absl::OkStatus();
  }
  cell.number = type != Type::kString && PackNumber(cell.text, writer);
  if (cell.number) return absl::OkStatus();
  if (type == Type::kNumber) {
    return absl::InvalidArgumentError(
        StrCat("column `", name, "` is no number: `", Shorten(cell.text, kShownCellBytes), "`"));
  }
  writer.String(cell.text);
  return absl::OkStatus();
}

absl::Status CsvReader::Parse(std::string_view line) {
  if (names_.empty()) return absl::InvalidArgumentError("not CSV: there is no header row");
  if (const absl::Status split = Split(line); !split.ok()) return split;
  if (cells_.size() != names_.size()) {
    return absl::InvalidArgumentError(
        StrCat("not CSV: the line has ", cells_.size(), " fields, the header has ", names_.size()));
  }
  packed_.clear();
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (const absl::Status packed = Pack(cells_[i], column_types_[i], names_[i]); !packed.ok()) return packed;
  }
  return absl::OkStatus();
}

std::optional<size_t> CsvReader::Find(std::string_view column) const {
  const auto it = std::find(fields_.begin(), fields_.end(), column);
  if (it == fields_.end()) return std::nullopt;
  return static_cast<size_t>(it - fields_.begin());
}

std::optional<std::string_view> CsvReader::Text(std::string_view column) const {
  const std::optional<size_t> index = Find(column);
  if (!index.has_value() || cells_[*index].null) return std::nullopt;
  return cells_[*index].text;
}

bool CsvReader::IsNumber(std::string_view column) const {
  const std::optional<size_t> index = Find(column);
  return index.has_value() && cells_[*index].number;
}

}  // namespace millrace
