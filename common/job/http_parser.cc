#include "common/job/http_parser.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/http/secret_text.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kHeadersExample = "headers: { Authorization: 'Bearer ${TOKEN}' }";
// What the request says of itself.
constexpr std::string_view kOwnHeaders[] = {"Idempotency-Key", "Content-Length", "Host", "Transfer-Encoding",
                                            "Connection",      "Expect",         "TE",   "Upgrade"};

bool IsUrl(std::string_view url) {
  const size_t host = url.starts_with("http://")    ? 7
                      : url.starts_with("https://") ? 8
                                                    : std::string_view::npos;
  if (host == std::string_view::npos || url.size() > kMaxUrlBytes) return false;
  const std::string_view rest = url.substr(host);
  return !rest.empty() && rest.front() != '/' && rest.front() != '?' && rest.front() != ':' &&
         rest.find('#') == std::string_view::npos && std::all_of(rest.begin(), rest.end(), [](char c) {
           return absl::ascii_isgraph(static_cast<unsigned char>(c));
         });
}

bool HasPassword(std::string_view url) {
  const std::string_view rest = url.substr(url.find("://") + 3);
  return rest.substr(0, rest.find_first_of("/?")).find('@') != std::string_view::npos;
}

// A token of RFC 9110, 5.6.2.
bool IsHeaderName(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsHeaderValue(std::string_view value) {
  return value.size() <= kMaxHttpHeaderValueBytes && IsSecretText(value) &&
         std::none_of(value.begin(), value.end(),
                      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

}  // namespace

std::string ParseHttpUrl(const YamlNode& value, std::string_view field, std::string_view example,
                         YamlReader* reader) {
  constexpr std::string_view kTakes = "an http:// or https:// URL";
  const std::string url = reader->Text(value, field, kTakes, example);
  if (!reader->ok()) return url;
  if (!IsUrl(url)) {
    reader->FailValue(value, field, kTakes, example);
  } else if (HasPassword(url)) {
    reader->Fail(value, "a URL with a name or password in it", "job files are shown to people",
                 StrCat("try `", kHeadersExample, "`"));
  }
  return url;
}

std::vector<std::pair<std::string, std::string>> ParseHttpHeaders(const YamlNode& value, YamlReader* reader) {
  std::vector<std::pair<std::string, std::string>> headers;
  absl::flat_hash_set<std::string> names;
  if (!reader->Mapping(value, "headers", kHeadersExample)) return headers;
  if (value.entries.size() > kMaxHttpHeaders) {
    reader->FailValue(value, "headers", StrCat("at most ", kMaxHttpHeaders, " headers"), kHeadersExample);
  }
  for (const auto& [key, text] : value.entries) {
    const bool is_own =
        std::any_of(std::begin(kOwnHeaders), std::end(kOwnHeaders),
                    [&](std::string_view own) { return absl::EqualsIgnoreCase(ToAbsl(own), key.text); });
    if (!IsHeaderName(key.text)) {
      reader->FailValue(key, "headers", "names of HTTP headers", kHeadersExample);
    } else if (is_own || !names.insert(absl::AsciiStrToLower(key.text)).second) {
      reader->Fail(key, StrCat("header ", Quoted(key.text)),
                   is_own ? "requests set it themselves" : "it is there twice", "leave it out");
    } else if (!text.IsScalar() || !IsHeaderValue(text.text)) {
      reader->FailValue(text, key.text, "one line of text, with secrets as ${NAME}", kHeadersExample);
    }
    headers.emplace_back(key.text, text.text);
  }
  return headers;
}

}  // namespace millrace
