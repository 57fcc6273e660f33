#include "coordinator/chaos/brokers.h"

#include "common/strings.h"

namespace millrace::chaos {
namespace {

constexpr char kProbe[] = "chaos-probe";
constexpr char kProbeSubject[] = "chaos.probe";
constexpr absl::Duration kProbeTimeout = absl::Seconds(1);

}  // namespace

std::string BrokerConfig(const std::vector<BrokerSpec>& brokers, size_t index) {
  const BrokerSpec& own = brokers[index];
  std::string text = StrCat("server_name: ", own.name, "\nlisten: \"127.0.0.1:", own.port,
                            "\"\njetstream { store_dir: \"", own.store, "\" }\nlame_duck_duration: \"",
                            kLameDuckDuration, "\"\nlame_duck_grace_period: \"1s\"\n");
  if (brokers.size() == 1) return text;
  StrAppend(&text, "cluster {\n  name: millrace-chaos\n  listen: \"127.0.0.1:", own.route_port,
            "\"\n  no_advertise: true\n  routes: [");
  for (const BrokerSpec& broker : brokers) {
    StrAppend(&text, &broker == &brokers[0] ? " " : ", ", "\"nats://127.0.0.1:", broker.route_port, "\"");
  }
  return text + " ]\n}\n";
}

absl::Status MakeProbe(PlainNats& nats, int64_t copies) {
  const nlohmann::json config = {
      {"name", kProbe}, {"subjects", {kProbeSubject}}, {"storage", "file"}, {"num_replicas", copies}};
  if (const auto made = nats.Api(StrCat("STREAM.CREATE.", kProbe), config); !made.ok()) return made.status();
  return Acknowledges(nats) ? absl::OkStatus() : absl::UnavailableError("the probe has no leader yet");
}

bool Acknowledges(PlainNats& nats) { return nats.Append(kProbeSubject, {}, kProbeTimeout).ok(); }

Led StreamsLed(PlainNats& nats, const std::string& broker) {
  Led led;
  const auto list = nats.Api("STREAM.LIST", nullptr, kProbeTimeout);
  if (!list.ok()) return led;
  for (const auto& stream : list->value("streams", nlohmann::json::array())) {
    const auto cluster = stream.value("cluster", nlohmann::json::object());
    led.streams += cluster.value("leader", "") == broker ? 1 : 0;
    ++led.of;
  }
  return led;
}

std::string LeaderOfStream(PlainNats& nats, const std::string& stream) {
  const auto info = nats.Api("STREAM.INFO." + stream, nullptr, kProbeTimeout);
  if (!info.ok()) return "";
  return info->value("cluster", nlohmann::json::object()).value("leader", "");
}

}  // namespace millrace::chaos
