#include "coordinator/ingest/rejected_line.h"

#include <algorithm>

#include "common/strings.h"
#include "common/value/value.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

// The longest beginning of at most kMaxRejectedValueBytes that does not cut a character of UTF-8 in two.
std::string_view Shown(std::string_view text) {
  if (text.size() <= kMaxRejectedValueBytes) return text;
  size_t cut = kMaxRejectedValueBytes;
  while (cut > kMaxRejectedValueBytes - 4 && (static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut);
}

}  // namespace

std::string RejectedLineId(uint64_t position) { return StrCat("in.", position); }

std::string RejectedLineMessageId(std::string_view uid, uint64_t position) {
  return StrCat(uid, ".", RejectedLineId(position));
}

std::string EncodeRejectedLine(const RejectedLine& line) {
  const std::string_view shown = Shown(line.text);
  nlohmann::ordered_json letter = {
      {"id", RejectedLineId(line.position)},
      {"uid", line.uid},
      {"job", line.job},
      {"segment", 0},
      {"partition", nullptr},
      {"offset", line.position},
      {"record", 0},
      {"key", nullptr},
  };
  if (IsValidUtf8(shown)) {
    letter["value"] = shown;
  } else {
    letter["value_base64"] = Base64(shown);
  }
  if (shown.size() < line.text_bytes) letter["value_bytes"] = line.text_bytes;
  letter["time"] = nullptr;
  letter["stage"] = "source";
  letter["error"] = line.error;
  letter["attempts"] = 1;
  letter["number"] = line.number;
  // An error may quote the line, and so bytes that are no UTF-8.
  return letter.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::optional<RejectedLineMark> DecodeRejectedLine(std::string_view uid, std::string_view json) {
  const nlohmann::json letter = nlohmann::json::parse(json, nullptr, false);
  if (!letter.is_object() || letter.value("uid", "") != uid) return std::nullopt;
  if (!letter.value("id", "").starts_with("in.")) return std::nullopt;
  const auto position = letter.find("offset");
  const auto number = letter.find("number");
  if (position == letter.end() || number == letter.end()) return std::nullopt;
  if (!position->is_number_unsigned() || !number->is_number_unsigned()) return std::nullopt;
  return RejectedLineMark{position->get<uint64_t>(), number->get<uint64_t>()};
}

}  // namespace millrace
