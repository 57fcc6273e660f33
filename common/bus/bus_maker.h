// A connection of its own for each thread that needs one.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"

namespace millrace {

// Called from the thread that is to own it, each time it begins anew.
using BusMaker = std::function<absl::StatusOr<std::unique_ptr<Bus>>()>;

}  // namespace millrace
