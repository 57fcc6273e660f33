// Text from data, fit to be shown to people.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// Control characters, which would end the line or be obeyed by a terminal, as `\n`, `\x1b` and the like.
std::string EscapeControls(std::string_view text);

// Addresses, separated by commas, for logs and messages: passwords and tokens in front of an @ are ***.
std::string WithoutPasswords(std::string_view urls);

}  // namespace millrace
