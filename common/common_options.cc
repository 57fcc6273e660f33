#include "absl/status/status.h"
#include "common/flags.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

absl::Status NotOneOf(std::string_view flag, std::string_view value,
                      const std::vector<std::string>& choices) {
  const std::string near = NearMiss(value, choices);
  std::string list;
  for (const std::string& choice : choices) StrAppend(&list, list.empty() ? "" : ", ", choice);
  return absl::InvalidArgumentError(StrCat("--", flag, ": \"", value, "\" is not known — it is one of ", list,
                                           " — try --", flag, " ", near.empty() ? choices.front() : near));
}

}  // namespace

void CommonOptions::AddTo(Flags& flags) {
  flags.Add("nats", &nats, "URL",
            "where NATS listens; several are separated by commas; NATS_URL is read too");
  flags.Add("creds", &creds, "FILE", "NATS credentials");
  flags.Add("tls-ca", &tls_ca, "FILE", "certificate authority that NATS is checked against");
  flags.Add("tls-cert", &tls_cert, "FILE", "certificate shown to NATS");
  flags.Add("tls-key", &tls_key, "FILE", "its private key");
  flags.Add("log-level", &log_level, "LEVEL", "debug, info, warning or error");
  flags.Add("log-format", &log_format, "FORMAT", "text or json");
}

absl::Status CommonOptions::Apply(std::string_view component) const {
  const std::vector<std::string> levels = {"info", "debug", "warning", "error"};
  const std::vector<std::string> formats = {"text", "json"};
  LogLevel level = LogLevel::kInfo;
  if (log_level == "debug") {
    level = LogLevel::kDebug;
  } else if (log_level == "warning") {
    level = LogLevel::kWarning;
  } else if (log_level == "error") {
    level = LogLevel::kError;
  } else if (log_level != "info") {
    return NotOneOf("log-level", log_level, levels);
  }
  if (log_format != "text" && log_format != "json") return NotOneOf("log-format", log_format, formats);
  if (tls_cert.empty() != tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key come together — a certificate is of no use without its key — give both");
  }
  SetUpLogging(component, level, log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  return absl::OkStatus();
}

}  // namespace millrace
