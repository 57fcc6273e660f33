#include "common/handler/request_batch.h"

#include <string_view>
#include <utility>

#include "common/handler/recorded_answers.h"
#include "common/strings.h"
#include "common/value/msgpack.h"

namespace millrace {
namespace {

constexpr size_t kRequestIdDigits = 16;

// Of a list its items; of anything else nothing.
std::vector<std::string_view> ItemsOf(std::string_view packed, bool* is_list) {
  std::vector<std::string_view> items;
  PackReader reader(packed);
  PackToken token;
  *is_list = reader.Next(&token) && token.type == PackToken::Type::kArray;
  for (uint32_t left = *is_list ? token.count : 0; left > 0; --left) {
    const char* const begin = reader.position();
    if (!reader.Skip()) break;
    items.emplace_back(begin, static_cast<size_t>(reader.position() - begin));
  }
  return items;
}

}  // namespace

std::string RequestId(const std::vector<const HttpCallRequest*>& records) {
  std::string packed;
  for (const HttpCallRequest* const record : records) packed += PackHttpRequest(*record);
  return RequestDigest(packed).substr(0, kRequestIdDigits);
}

HttpCallRequest JoinRequests(const std::vector<const HttpCallRequest*>& records) {
  HttpCallRequest joined;
  joined.method = records.front()->method;
  joined.url = records.front()->url;
  joined.content_type = records.front()->content_type;
  joined.label = records.front()->label;
  for (const HttpCallRequest* const record : records) {
    joined.body += joined.body.empty() ? '[' : ',';
    joined.body += record->body;
  }
  joined.body += ']';
  return joined;
}

absl::StatusOr<std::vector<absl::StatusOr<std::string>>> SplitAnswer(const HttpAnswer& answer,
                                                                     size_t records) {
  const absl::StatusOr<std::string> body = PackHttpBody(answer);
  if (!body.ok()) return body.status();
  bool is_list = false;
  std::vector<std::string_view> items = ItemsOf(*body, &is_list);
  if (is_list && items.size() != records) {
    return absl::InvalidArgumentError(
        StrCat("the answer is a list of ", items.size(), ", and the request was one of ", records));
  }
  if (!is_list && body->size() > kMaxSharedAnswerBytes) {
    return absl::InvalidArgumentError(StrCat("the answer is no list, and takes ", body->size(),
                                             " bytes, more than ", kMaxSharedAnswerBytes));
  }
  if (!is_list) items.assign(records, *body);
  std::vector<absl::StatusOr<std::string>> answers;
  for (const std::string_view item : items) answers.push_back(PackHttpAnswer(answer, item));
  return answers;
}

}  // namespace millrace
