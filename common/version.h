// The version that --version, status and leases show.
#pragma once

#include <string_view>

#include "common/build_config.h"

namespace millrace {

inline constexpr std::string_view kVersion = MILLRACE_VERSION;

}  // namespace millrace
