#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
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

bool IsPort(std::string_view text) {
  int port = 0;
  return absl::SimpleAtoi(ToAbsl(text), &port) && port > 0 && port <= 65535;
}

// nats://host:4222, tls://host, host:4222; with or without a name and a password.
absl::Status CheckNatsUrl(std::string_view url) {
  constexpr std::string_view kScheme = "://";
  const size_t scheme_end = url.find(kScheme);
  const bool has_scheme = scheme_end != std::string_view::npos;
  const std::string_view scheme = has_scheme ? url.substr(0, scheme_end) : std::string_view();
  std::string_view host = has_scheme ? url.substr(scheme_end + kScheme.size()) : url;
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  while (host.ends_with('/')) host.remove_suffix(1);
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && !host.ends_with(']');
  const bool known_scheme = scheme == "nats" || scheme == "tls";
  if ((has_scheme ? known_scheme : has_port) && !host.empty() &&
      (!has_port || (colon > 0 && IsPort(host.substr(colon + 1))))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      StrCat("--nats: \"", url,
             "\" is no address of a NATS server — it is nats://HOST:PORT or tls://HOST:PORT — try "
             "--nats nats://127.0.0.1:4222"));
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
  for (const auto url : absl::StrSplit(nats, ',', absl::SkipWhitespace())) {
    if (absl::Status status = CheckNatsUrl(ToStd(absl::StripAsciiWhitespace(url))); !status.ok())
      return status;
  }
  if (tls_cert.empty() != tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key come together — a certificate is of no use without its key — give both");
  }
  SetUpLogging(component, level, log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  return absl::OkStatus();
}

}  // namespace millrace
