#include "common/http/secret_text.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kOpen = "${";

bool IsNameCharacter(char c) {
  return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

std::optional<std::string> SecretOfEnvironment(const std::string& name) {
  const char* const value = std::getenv(StrCat(kSecretPrefix, name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

bool IsSecretText(std::string_view text) {
  for (size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at)) {
    const size_t begin = at + kOpen.size();
    const size_t end = text.find('}', begin);
    if (end == std::string_view::npos || end == begin) return false;
    const std::string_view name = text.substr(begin, end - begin);
    if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) return false;
    at = end;
  }
  return true;
}

absl::StatusOr<std::string> FillSecrets(std::string_view text, const SecretSource& secrets) {
  std::string filled;
  size_t from = 0;
  for (size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, from)) {
    const size_t begin = at + kOpen.size();
    const size_t end = text.find('}', begin);
    const std::string name(text.substr(begin, end - begin));
    const std::optional<std::string> value = secrets(name);
    if (!value.has_value()) {
      return absl::FailedPreconditionError(StrCat("environment variable ", kSecretPrefix, name,
                                                  " is not set in this process — start it with that"));
    }
    const bool fits = std::none_of(value->begin(), value->end(),
                                   [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
    if (!fits) {
      return absl::FailedPreconditionError(
          StrCat("environment variable ", kSecretPrefix, name, " has characters that fit into no header"));
    }
    StrAppend(&filled, text.substr(from, at - from), *value);
    from = end + 1;
  }
  StrAppend(&filled, text.substr(from));
  return filled;
}

absl::StatusOr<std::map<std::string, std::string>> FillSecretHeaders(
    const std::vector<std::pair<std::string, std::string>>& headers, const SecretSource& secrets) {
  std::map<std::string, std::string> filled;
  for (const auto& [name, text] : headers) {
    absl::StatusOr<std::string> value = FillSecrets(text, secrets);
    if (!value.ok()) return value.status();
    filled[name] = *std::move(value);
  }
  return filled;
}

}  // namespace millrace
