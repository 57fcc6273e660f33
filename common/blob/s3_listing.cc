#include "common/blob/s3_listing.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "common/strings.h"

namespace millrace {
namespace {

// The text between <tag> and </tag>, from `*at` on, which moves behind it. S3 writes these elements without
// attributes and not one inside another of its name.
std::optional<std::string_view> NextElement(std::string_view xml, std::string_view tag, size_t* at) {
  const std::string open = StrCat("<", tag, ">"), close = StrCat("</", tag, ">");
  const size_t begin = xml.find(open, *at);
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = xml.find(close, begin);
  if (end == std::string_view::npos) return std::nullopt;
  *at = end + close.size();
  return xml.substr(begin + open.size(), end - begin - open.size());
}

std::optional<std::string_view> FirstElement(std::string_view xml, std::string_view tag) {
  size_t at = 0;
  return NextElement(xml, tag, &at);
}

std::string DecodeEntities(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 6> kEntities = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}}};
  std::string decoded;
  while (!text.empty()) {
    char c = text.front();
    size_t length = 1;
    for (const auto& [entity, meaning] : kEntities) {
      if (!text.starts_with(entity)) continue;
      c = meaning;
      length = entity.size();
    }
    decoded.push_back(c);
    text.remove_prefix(length);
  }
  return decoded;
}

}  // namespace

absl::StatusOr<S3Page> ParseS3Page(std::string_view xml) {
  const auto malformed = [] { return absl::UnavailableError("the answer is no list of objects"); };
  if (xml.find("<ListBucketResult") == std::string_view::npos ||
      xml.find("</ListBucketResult>") == std::string_view::npos) {
    return malformed();
  }
  S3Page page;
  size_t at = 0;
  while (const auto object = NextElement(xml, "Contents", &at)) {
    const auto key = FirstElement(*object, "Key");
    const auto size = FirstElement(*object, "Size");
    if (!key.has_value() || !size.has_value()) return malformed();
    uint64_t bytes = 0;
    const auto [end, error] = std::from_chars(size->data(), size->data() + size->size(), bytes);
    if (error != std::errc() || end != size->data() + size->size()) return malformed();
    page.objects.push_back({DecodeEntities(*key), bytes});
  }
  if (FirstElement(xml, "IsTruncated").value_or("false") == "true") {
    page.continuation_token = DecodeEntities(FirstElement(xml, "NextContinuationToken").value_or(""));
    if (page.continuation_token.empty()) return malformed();
  }
  return page;
}

std::string S3ErrorText(std::string_view xml) {
  const auto code = FirstElement(xml, "Code");
  if (!code.has_value()) return "";
  const auto message = FirstElement(xml, "Message");
  return message.has_value() ? StrCat(DecodeEntities(*code), ": ", DecodeEntities(*message))
                             : DecodeEntities(*code);
}

}  // namespace millrace
