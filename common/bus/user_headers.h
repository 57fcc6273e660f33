// Headers of messages that are their publishers' own: neither the broker's (`Nats-…`) nor ours.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

using UserHeaders = std::vector<std::pair<std::string, std::string>>;  // names and values

bool IsUserHeader(std::string_view name);
// Whether NATS carries it as it is. A name is of printable ASCII without a colon (RFC 9110, 5.1, more strictly). A value has no
// line ends, which would begin another header, no NUL, and is not empty or blank: the NATS C client up to 3.10 reads the next
// header for such a value (nats.c, pull request 873).
bool CanBeSent(std::string_view name, std::string_view value);

}  // namespace millrace
