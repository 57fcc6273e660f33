#include "common/broker_limits.h"

#include "common/bus/bus.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {

absl::Status CheckServerPayload(Bus& bus) {
  const absl::StatusOr<ServerInfo> server = bus.Server();
  if (!server.ok()) return server.status();
  if (server->max_payload <= 0 || server->max_payload >= kMinServerPayloadBytes) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat(
      "the NATS server takes messages of at most ", FormatSize(static_cast<uint64_t>(server->max_payload)),
      " — a result may be larger, and would be refused for ever — set `max_payload: 1MB` in its "
      "configuration"));
}

}  // namespace millrace
