#include "coordinator/results/result_line.h"

#include <algorithm>

#include "common/pipeline/event_time.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "common/value/value.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kValueColumn[] = "value";  // for values that are no objects

// The value as parsed JSON; raw bytes that are not UTF-8 in base 64.
Json ParsedValue(const RecordView& record) {
  std::string text;
  if (!AppendJson(ValueView::Of(record), &text).ok()) return Base64(record.value);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

void AppendCsvCell(std::string_view text, std::string* out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

void AppendCsvJson(const Json& value, std::string* out) {
  if (value.is_null()) return;
  AppendCsvCell(value.is_string() ? value.get_ref<const std::string&>() : JsonText(value), out);
}

}  // namespace

void AppendTextMember(std::string_view name, std::string_view text, std::string* out) {
  const size_t start = out->size();
  StrAppend(out, "\"", name, "\":");
  if (AppendJson(ValueView{text, kRawShape, nullptr}, out).ok()) return;
  out->resize(start);
  StrAppend(out, "\"", name, "_base64\":\"", Base64(text), "\"");
}

void AppendValueMember(std::string_view name, const RecordView& record, std::string* out) {
  if (record.shape == kRawShape) return AppendTextMember(name, record.value, out);
  const size_t start = out->size();
  StrAppend(out, "\"", name, "\":");
  if (AppendJson(ValueView::Of(record), out).ok()) return;
  out->resize(start);
  StrAppend(out, "\"", name, "_base64\":\"", Base64(record.value), "\"");
}

void AppendResultLine(const RecordView& record, PartitionId partition, std::string* out) {
  out->push_back('{');
  AppendTextMember("key", record.key, out);
  out->push_back(',');
  AppendValueMember("value", record, out);
  StrAppend(out, ",\"partition\":", partition.value(), ",\"offset\":", record.offset.value(),
            ",\"index\":", record.index);
  if (record.time_ms != kNoTime) StrAppend(out, ",\"time\":\"", FormatTime(record.time_ms), "\"");
  out->append("}\n");
}

void AppendRawLine(const RecordView& record, std::string* out) {
  if (record.shape == kRawShape) {
    out->append(record.value);
  } else {
    PackToken token;
    PackReader reader(record.value);
    if (record.shape == kPackedShape && reader.Next(&token) && token.type == PackToken::Type::kString) {
      out->append(token.text);
    } else if (!AppendJson(ValueView::Of(record), out).ok()) {
      out->append(Base64(record.value));
    }
  }
  out->push_back('\n');
}

absl::Status CsvResultWriter::Append(const RecordView& record, PartitionId partition, std::string* out) {
  const Json parsed = ParsedValue(record);
  Json value = parsed;
  if (!parsed.is_object()) value = Json{{kValueColumn, parsed}};
  if (!header_written_) {
    header_written_ = true;
    out->append("key");
    for (const auto& [name, member] : value.items()) {
      columns_.push_back(name);
      out->push_back(',');
      AppendCsvCell(name, out);
    }
    out->append(",partition,offset,index,time\n");
  }
  for (const auto& [name, member] : value.items()) {
    if (std::find(columns_.begin(), columns_.end(), name) != columns_.end()) continue;
    return absl::InvalidArgumentError(
        StrCat("result ", partition.value(), ".", record.offset.value(), ".", record.index, " has a field `",
               name, "` that the first one had not — csv has one set of columns — try -o jsonl"));
  }
  AppendCsvCell(record.key, out);
  for (const std::string& column : columns_) {
    out->push_back(',');
    if (const auto found = value.find(column); found != value.end()) AppendCsvJson(*found, out);
  }
  StrAppend(out, ",", partition.value(), ",", record.offset.value(), ",", record.index, ",");
  if (record.time_ms != kNoTime) out->append(FormatTime(record.time_ms));
  out->push_back('\n');
  return absl::OkStatus();
}

}  // namespace millrace
