// The protocol between a worker and handler processes, as docs/handlers.md has it: its words and its bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/time/time.h"

namespace millrace {

inline constexpr std::string_view kHandlerEnvelope = "MR1";  // the first frame: the protocol's version
inline constexpr int kHandlerProtocol = 1;

// The kinds of messages.
inline constexpr std::string_view kRegisterMessage = "register";
inline constexpr std::string_view kWelcomeMessage = "welcome";
inline constexpr std::string_view kRefusedMessage = "refused";
inline constexpr std::string_view kHeartbeatMessage = "heartbeat";
inline constexpr std::string_view kBatchMessage = "batch";
inline constexpr std::string_view kProgressMessage = "progress";
inline constexpr std::string_view kResultMessage = "result";
inline constexpr std::string_view kByeMessage = "bye";

enum class HandlerMode { kKeyed, kStateless };
std::string_view HandlerModeName(HandlerMode mode);

inline constexpr size_t kMaxBatchCalls = 4096;
inline constexpr size_t kMaxHandlerMessageBytes = 64 << 20;
inline constexpr size_t kMaxHandlerStateBytes = 16 << 20;
inline constexpr size_t kMaxOutputsPerCall = 100'000;
inline constexpr size_t kMaxHandlerTimersPerCall = 10'000;
inline constexpr size_t kMaxOutputHeaders = 64;
inline constexpr size_t kMaxWhyBytes = 1024;
inline constexpr size_t kMaxHandlerNameBytes = 128;
inline constexpr size_t kMaxBatchIdBytes = 64;
inline constexpr int64_t kMaxHandlerCapacity = 64;
inline constexpr size_t kMaxHandlersOfStage = 256;
inline constexpr int kMaxHandlerValueDepth = 64;

inline constexpr absl::Duration kHandlerHeartbeat = absl::Seconds(1);
inline constexpr int kLostAfterHeartbeats =
    5;  // so many without a message from a handler that has begun nothing

}  // namespace millrace
