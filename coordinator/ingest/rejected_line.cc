#include "coordinator/ingest/rejected_line.h"

#include "common/strings.h"
#include "common/value/json_text.h"
#include "common/value/value.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

// A letter may be anybody's: nothing of its form is taken for granted.
std::string LetterText(const nlohmann::json& letter, const char* name) {
  const auto member = letter.find(name);
  return member != letter.end() && member->is_string() ? member->get<std::string>() : "";
}

}  // namespace

std::string RejectedText(const RecordView& record) {
  std::string text;
  if (record.shape == kRawShape || !AppendJson(ValueView::Of(record), &text).ok()) {
    return std::string(record.value);
  }
  return text;
}

std::string RejectedLineId(std::string_view writer, uint64_t position) {
  return StrCat(writer, ".", position);
}

std::string RejectedLineMessageId(std::string_view uid, std::string_view writer, uint64_t position) {
  return StrCat(uid, ".", RejectedLineId(writer, position));
}

std::string EncodeRejectedLine(const RejectedLine& line) {
  const std::string_view shown = Shorten(line.text, kMaxRejectedValueBytes);
  nlohmann::ordered_json letter = {
      {"id", RejectedLineId(line.writer, line.position)},
      {"uid", line.uid},
      {"job", line.job},
      {"segment", 0},
      {"partition", nullptr},
      {"offset", line.position},
      {"record", 0},
      {"key", nullptr},
  };
  PutBytes(letter, "value", shown);
  if (shown.size() < line.text_bytes) letter["value_bytes"] = line.text_bytes;
  letter["time"] = nullptr;
  letter["stage"] = "source";
  letter["error"] = line.error;
  letter["attempts"] = 1;
  letter["number"] = line.number;
  return JsonText(letter);
}

std::optional<RejectedLineMark> DecodeRejectedLine(std::string_view uid, std::string_view writer,
                                                   std::string_view json) {
  const nlohmann::json letter = nlohmann::json::parse(json, nullptr, false);
  if (!letter.is_object() || LetterText(letter, "uid") != uid) return std::nullopt;
  if (!LetterText(letter, "id").starts_with(StrCat(writer, "."))) return std::nullopt;
  const auto position = letter.find("offset");
  const auto number = letter.find("number");
  if (position == letter.end() || number == letter.end()) return std::nullopt;
  if (!position->is_number_unsigned() || !number->is_number_unsigned()) return std::nullopt;
  return RejectedLineMark{position->get<uint64_t>(), number->get<uint64_t>()};
}

}  // namespace millrace
