#include "common/pipeline/lookup_table.h"

#include <utility>

#include "common/frame/frame.h"
#include "common/handler/handler_values.h"
#include "common/pipeline/csv_reader.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr std::string_view kCsvEnd = ".csv";
constexpr std::string_view kJsonLinesEnd = ".jsonl";
constexpr size_t kMostKeyShown = 40;

}  // namespace

// Reads lines in either format.
class LookupTable::Reader {
 public:
  Reader(const std::string& name, const std::string& key) : is_csv_(name.ends_with(kCsvEnd)), key_(key) {}

  absl::Status Take(std::string_view line, uint32_t number, LookupTable* table) {
    if (is_csv_ && !has_header_) {
      has_header_ = true;
      if (absl::Status status = csv_.SetHeader(line); !status.ok()) return status;
      if (csv_.HasColumn(key_)) return absl::OkStatus();
      return absl::InvalidArgumentError(StrCat("there is no column `", key_, "`, which `key` names"));
    }
    if (absl::Status status = is_csv_ ? csv_.Parse(line) : ParseObject(line); !status.ok()) return status;
    const std::optional<std::string_view> key = is_csv_ ? csv_.Text(key_) : json_.KeyText(key_);
    if (!key.has_value()) {
      return absl::InvalidArgumentError(
          StrCat("a row without a key: `", key_, "` is missing, null, a list or an object"));
    }
    packed_.clear();
    RecordView row;
    row.value = is_csv_ ? csv_.bytes() : json_.bytes();
    row.shape = kFirstRowShape;
    row.fields = is_csv_ ? &csv_.fields() : &json_.fields();
    AppendCallValue(row, &packed_);
    return table->Add(*key, packed_, number);
  }

 private:
  absl::Status ParseObject(std::string_view line) {
    if (absl::Status status = json_.Parse(line); !status.ok()) return status;
    return json_.is_object() ? absl::OkStatus() : absl::InvalidArgumentError("a row is a JSON object");
  }

  const bool is_csv_;
  const std::string key_;
  bool has_header_ = false;
  CsvReader csv_{{}};
  JsonReader json_;
  std::string packed_;
};

bool IsTableName(std::string_view name) { return name.ends_with(kCsvEnd) || name.ends_with(kJsonLinesEnd); }

absl::StatusOr<std::shared_ptr<const LookupTable>> LookupTable::Parse(const std::string& name,
                                                                      std::string_view text,
                                                                      const std::string& key) {
  auto table = std::shared_ptr<LookupTable>(new LookupTable());
  table->packed_.reserve(text.size());
  Reader reader(name, key);
  for (uint32_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (absl::Status status = reader.Take(line, number, table.get()); !status.ok()) {
      return absl::InvalidArgumentError(StrCat(name, ":", number, ": ", status.message()));
    }
  }
  table->packed_.shrink_to_fit();
  return std::shared_ptr<const LookupTable>(std::move(table));
}

absl::Status LookupTable::Add(std::string_view key, std::string_view packed, uint32_t line) {
  const Place place = {packed_.size(), static_cast<uint32_t>(packed.size()), line};
  const auto [first, is_new] = rows_.try_emplace(std::string(key), place);
  if (!is_new) {
    return absl::InvalidArgumentError(
        StrCat("the key `", Shorten(key, kMostKeyShown), "` a second time, after line ", first->second.line));
  }
  packed_.append(packed);
  return absl::OkStatus();
}

std::optional<std::string_view> LookupTable::Find(std::string_view key) const {
  const auto found = rows_.find(ToAbsl(key));
  if (found == rows_.end()) return std::nullopt;
  return std::string_view(packed_).substr(found->second.at, found->second.bytes);
}

}  // namespace millrace
