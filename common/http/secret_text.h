// Text of a job file with secrets that are not in it: `Bearer ${TOKEN}` has the value of the environment variable
// MILLRACE_SECRET_TOKEN of whichever process sends it. The prefix keeps a job's author from reading the rest of that
// environment.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace millrace {

inline constexpr std::string_view kSecretPrefix = "MILLRACE_SECRET_";

// Of this process.
std::optional<std::string> SecretOfEnvironment(const std::string& name);

using SecretSource = std::function<std::optional<std::string>(const std::string& name)>;

// Whether every `${` begins a name (capitals, digits, _) and is closed.
bool IsSecretText(std::string_view text);
// FAILED_PRECONDITION: the variable is not set, or its value fits into no header. REQUIRES: IsSecretText(text).
absl::StatusOr<std::string> FillSecrets(std::string_view text, const SecretSource& secrets);
absl::StatusOr<std::map<std::string, std::string>> FillSecretHeaders(
    const std::vector<std::pair<std::string, std::string>>& headers, const SecretSource& secrets);

}  // namespace millrace
