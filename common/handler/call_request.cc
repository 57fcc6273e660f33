#include "common/handler/call_request.h"

#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr uint32_t kRequestParts = 5;

bool TakeText(PackReader* reader, std::string* text) {
  PackToken token;
  if (!reader->Next(&token) || token.type != PackToken::Type::kBinary) return false;
  *text = std::string(token.text);
  return true;
}

void WriteText(std::string_view text, PackWriter* writer) {
  IsValidUtf8(text) ? writer->String(text) : writer->Binary(text);
}

bool IsJson(const HttpAnswer& answer) {
  for (const auto& [name, value] : answer.headers) {
    if (name != "content-type") continue;
    const std::string_view type = std::string_view(value).substr(0, value.find(';'));
    return absl::EndsWithIgnoreCase(ToAbsl(type), "/json") || absl::EndsWithIgnoreCase(ToAbsl(type), "+json");
  }
  return false;
}

}  // namespace

std::string PackHttpRequest(const HttpCallRequest& request) {
  std::string packed;
  PackWriter writer(&packed);
  writer.Array(kRequestParts);
  for (const std::string* part :
       {&request.method, &request.url, &request.content_type, &request.body, &request.label}) {
    writer.Binary(*part);
  }
  return packed;
}

absl::StatusOr<HttpCallRequest> UnpackHttpRequest(std::string_view packed) {
  HttpCallRequest request;
  PackReader reader(packed);
  PackToken list;
  const bool is_list =
      reader.Next(&list) && list.type == PackToken::Type::kArray && list.count == kRequestParts;
  if (is_list && TakeText(&reader, &request.method) && TakeText(&reader, &request.url) &&
      TakeText(&reader, &request.content_type) && TakeText(&reader, &request.body) &&
      TakeText(&reader, &request.label) && reader.done()) {
    return request;
  }
  return absl::InvalidArgumentError("not a request");
}

absl::StatusOr<std::string> PackHttpBody(const HttpAnswer& answer) {
  std::string packed;
  PackWriter writer(&packed);
  if (!IsJson(answer) || answer.body.empty()) {
    WriteText(answer.body, &writer);
    return packed;
  }
  JsonReader json;
  if (const absl::Status read = json.Parse(answer.body); !read.ok()) {
    return absl::InvalidArgumentError(StrCat("the answer is no JSON, as it says: ", ToStd(read.message())));
  }
  if (!json.is_object()) return std::string(json.bytes());
  // A row: one value after the other, of the fields in their order.
  PackReader values(json.bytes());
  writer.Map(static_cast<uint32_t>(json.fields().size()));
  for (const std::string_view field : json.fields()) {
    const char* const begin = values.position();
    if (!values.Skip()) return absl::InternalError("a row of JSON has too few values");
    writer.String(field);
    packed.append(begin, values.position());
  }
  return packed;
}

absl::StatusOr<std::string> PackHttpAnswer(const HttpAnswer& answer) {
  const absl::StatusOr<std::string> body = PackHttpBody(answer);
  return body.ok() ? PackHttpAnswer(answer, *body) : body.status();
}

absl::StatusOr<std::string> PackHttpAnswer(const HttpAnswer& answer, std::string_view packed_body) {
  std::string packed;
  PackWriter writer(&packed);
  writer.Map(3);
  writer.String("status");
  writer.Int(answer.code);
  writer.String("body");
  packed += packed_body;
  size_t kept = 0, bytes = 0;
  for (const auto& [name, value] : answer.headers) {
    bytes += name.size() + value.size();
    if (bytes > kMaxCallHeaderBytes) break;
    ++kept;
  }
  writer.String("headers");
  writer.Map(static_cast<uint32_t>(kept));
  for (size_t i = 0; i < kept; ++i) {
    WriteText(answer.headers[i].first, &writer);
    WriteText(answer.headers[i].second, &writer);
  }
  if (packed.size() > kMaxCallRecordedBytes) {
    return absl::InvalidArgumentError(
        StrCat("the answer takes ", packed.size(), " bytes, more than ", kMaxCallRecordedBytes));
  }
  return packed;
}

CallOutcome OutcomeOfHttpAnswer(std::string packed) {
  CallOutcome outcome;
  auto message = std::make_shared<const std::string>(std::move(packed));
  outcome.outputs.push_back({*message, std::nullopt, {}});
  outcome.message = std::move(message);
  return outcome;
}

std::string PercentEncode(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace millrace
