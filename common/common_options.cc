#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/escape.h"
#include "common/flags.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

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
      StrCat("\"", WithoutPasswords(url),
             "\" is no address of a NATS server — it is nats://HOST:PORT or tls://HOST:PORT — try "
             "nats://127.0.0.1:4222"));
}

absl::Status CheckNatsUrls(const std::string& urls) {
  for (const auto url : absl::StrSplit(urls, ',', absl::SkipWhitespace())) {
    if (absl::Status status = CheckNatsUrl(ToStd(absl::StripAsciiWhitespace(url))); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status CheckInboxPrefix(const std::string& prefix) {
  const std::vector<std::string> tokens = absl::StrSplit(prefix, '.');
  const bool good =
      std::all_of(tokens.begin(), tokens.end(), [](const std::string& token) { return IsValidName(token); });
  if (good && tokens.front() != "mr") return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat(
      "\"", prefix,
      "\" is no place for replies — it is words of letters, digits, _ and - with dots between, and not "
      "those of Millrace (mr.) — try _INBOX_worker"));
}

LogLevel LevelOf(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

}  // namespace

void CommonOptions::AddTo(Flags& flags) {
  flags.AddChecked("nats", &nats, "URL", CheckNatsUrls,
                   "where NATS listens; several are separated by commas; NATS_URL is read too");
  flags.Add("creds", &creds, "FILE", "NATS credentials");
  flags.AddChecked("inbox-prefix", &inbox_prefix, "SUBJECT", CheckInboxPrefix,
                   "in front of the subjects where replies come: what this user may subscribe to");
  flags.Add("tls-ca", &tls_ca, "FILE", "certificate authority that NATS is checked against");
  flags.Add("tls-cert", &tls_cert, "FILE", "certificate shown to NATS");
  flags.Add("tls-key", &tls_key, "FILE", "its private key");
  flags.AddChoice("log-level", &log_level, "LEVEL", {"info", "debug", "warning", "error"},
                  "debug, info, warning or error");
  flags.AddChoice("log-format", &log_format, "FORMAT", {"text", "json"}, "text or json");
}

absl::Status CommonOptions::Apply(std::string_view component) const {
  if (tls_cert.empty() != tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key come together — a certificate is of no use without its key — give both");
  }
  SetUpLogging(component, LevelOf(log_level), log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  return absl::OkStatus();
}

}  // namespace millrace
