#include "common/bus/user_headers.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/frame/message_header.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kBrokersPrefix = "Nats-";
constexpr std::string_view kNotInValues("\r\n\0", 3);
constexpr std::string_view kBlank = " \t";

bool IsNameCharacter(char c) { return c > ' ' && c <= '~' && c != ':'; }

}  // namespace

bool IsUserHeader(std::string_view name) {
  return !absl::StartsWithIgnoreCase(ToAbsl(name), ToAbsl(kBrokersPrefix)) &&
         !absl::EqualsIgnoreCase(ToAbsl(name), kMessageHeaderName);
}

bool CanBeSent(std::string_view name, std::string_view value) {
  return !name.empty() && std::all_of(name.begin(), name.end(), IsNameCharacter) &&
         value.find_first_of(kNotInValues) == std::string_view::npos &&
         value.find_first_not_of(kBlank) != std::string_view::npos;
}

}  // namespace millrace
