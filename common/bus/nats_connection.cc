#include "common/bus/nats_connection.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kTlsScheme[] = "tls://";
constexpr int64_t kPingIntervalMs = 5'000;
constexpr int kMaxPingsOut = 2;
constexpr int64_t kConnectTimeoutMs = 2'000;
constexpr int64_t kMinReconnectDelayMs = 50;
constexpr int64_t kMaxReconnectDelayMs = 2'000;
constexpr int kIoBufferBytes = 256 << 10;
// While there is no connection nothing is kept for it: an append that waited there would be sent long after
// its writer gave it up.
constexpr int kReconnectBufferBytes = 1;
constexpr size_t kMostRefused = 64;  // subjects kept, of those that the server refused

// What the client says of the last error on this thread, in one line.
std::string LastDetail(natsStatus status) {
  natsStatus last = NATS_OK;
  const char* const detail = nats_GetLastError(&last);
  if (detail == nullptr || last != status) return natsStatus_GetText(status);
  return absl::StrReplaceAll(detail, {{"\n", " "}});
}

absl::Status Try(natsStatus status, std::string_view what) {
  return status == NATS_OK ? absl::OkStatus() : NatsError(status, what);
}

// Of the server's `Permissions Violation for Publish to "SUBJECT"`; empty: it says something else.
std::string RefusedSubject(std::string_view complaint) {
  constexpr std::string_view kBefore = "for Publish to \"";
  const size_t before = complaint.find(kBefore);
  if (before == std::string_view::npos) return {};
  const std::string_view rest = complaint.substr(before + kBefore.size());
  return std::string(rest.substr(0, rest.find('"')));
}

}  // namespace

absl::Status NatsError(natsStatus status, std::string_view what) {
  const std::string message = StrCat(what, ": ", natsStatus_GetText(status));
  switch (status) {
    case NATS_OK:
      return absl::OkStatus();
    case NATS_TIMEOUT:
      return absl::DeadlineExceededError(message);
    case NATS_MAX_PAYLOAD:
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
      return absl::InvalidArgumentError(message);
    case NATS_NOT_PERMITTED:
    case NATS_NO_SERVER_SUPPORT:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

NatsConnection::NatsConnection(ConnectionListener& listener, Clock& clock, uint64_t seed)
    : listener_(listener), clock_(clock), random_(seed != 0 ? seed : std::random_device{}()) {}

NatsConnection::~NatsConnection() {
  if (connection_ != nullptr) {
    natsConnection_Close(connection_);
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&closed_));
  }
  natsConnection_Destroy(connection_);
  natsOptions_Destroy(options_);
}

absl::StatusOr<std::unique_ptr<NatsConnection>> NatsConnection::Connect(const NatsOptions& options,
                                                                        Clock& clock,
                                                                        ConnectionListener& listener) {
  std::unique_ptr<NatsConnection> connection(new NatsConnection(listener, clock, options.seed));
  if (absl::Status status = connection->Configure(options); !status.ok()) return status;
  if (absl::Status status =
          connection->ConnectUntil(options.connect_deadline, WithoutPasswords(options.url), clock);
      !status.ok()) {
    return status;
  }
  return connection;
}

absl::Status NatsConnection::Configure(const NatsOptions& options) {
  natsStatus s = natsOptions_Create(&options_);
  const auto then = [&s](natsStatus next) {
    if (s == NATS_OK) s = next;
  };
  if (s != NATS_OK) return NatsError(s, "cannot set up the NATS client");
  // The servers of a cluster, of which any will do; the client's own SetURL takes only one.
  const std::vector<std::string> urls = absl::StrSplit(options.url, ',', absl::SkipWhitespace());
  std::vector<const char*> servers;
  for (const std::string& url : urls) servers.push_back(url.c_str());
  then(natsOptions_SetServers(options_, servers.data(), static_cast<int>(servers.size())));
  then(natsOptions_SetName(options_, options.client_name.c_str()));
  then(natsOptions_SetCustomInboxPrefix(options_, options.inbox_prefix.c_str()));
  then(natsOptions_SetTimeout(options_, kConnectTimeoutMs));
  then(natsOptions_SetPingInterval(options_, kPingIntervalMs));
  then(natsOptions_SetMaxPingsOut(options_, kMaxPingsOut));
  then(natsOptions_SetWriteDeadline(options_, absl::ToInt64Milliseconds(kWriteDeadline)));
  then(natsOptions_SetIOBufSize(options_, kIoBufferBytes));
  then(natsOptions_SetSendAsap(options_, options.sends_at_once));
  then(natsOptions_SetReconnectBufSize(options_, kReconnectBufferBytes));
  then(natsOptions_SetMaxReconnect(options_, -1));
  then(natsOptions_SetFailRequestsOnDisconnect(options_, true));
  then(natsOptions_UseGlobalMessageDelivery(options_, true));
  then(natsOptions_SetCustomReconnectDelay(
      options_,
      [](natsConnection*, int attempts, void* self) {
        return static_cast<NatsConnection*>(self)->ReconnectDelayMs(attempts);
      },
      this));
  then(natsOptions_SetDisconnectedCB(
      options_,
      [](natsConnection*, void* self) { static_cast<NatsConnection*>(self)->listener_.OnDisconnected(); },
      this));
  then(natsOptions_SetReconnectedCB(
      options_,
      [](natsConnection*, void* self) { static_cast<NatsConnection*>(self)->listener_.OnReconnected(); },
      this));
  then(natsOptions_SetClosedCB(
      options_,
      [](natsConnection*, void* closure) {
        auto* self = static_cast<NatsConnection*>(closure);
        absl::MutexLock lock(&self->mutex_);
        self->closed_ = true;
      },
      this));
  then(natsOptions_SetErrorHandler(
      options_,
      [](natsConnection* connection, natsSubscription*, natsStatus status, void* self) {
        static_cast<NatsConnection*>(self)->SayError(connection, status);
      },
      this));
  if (s != NATS_OK)
    return NatsError(s, StrCat("NATS address ", WithoutPasswords(options.url), " is not usable"));

  for (const auto& [flag, path] : {std::pair("--creds", &options.creds),
                                   {"--tls-ca", &options.tls_ca},
                                   {"--tls-cert", &options.tls_cert},
                                   {"--tls-key", &options.tls_key}}) {
    if (path->empty() || std::ifstream(*path).good()) continue;
    return absl::InvalidArgumentError(
        StrCat(flag, " ", *path, " — it cannot be read — give a file that is there and yours to read"));
  }
  if (!options.creds.empty()) {
    then(natsOptions_SetUserCredentialsFromFiles(options_, options.creds.c_str(), nullptr));
    if (s != NATS_OK) return NatsError(s, StrCat("cannot read the credentials in ", options.creds));
  }
  const bool asks_for_tls = absl::StrContains(options.url, kTlsScheme);
  if (asks_for_tls || !options.tls_ca.empty() || !options.tls_cert.empty()) {
    then(natsOptions_SetSecure(options_, true));
  }
  if (!options.tls_ca.empty()) {
    then(natsOptions_LoadCATrustedCertificates(options_, options.tls_ca.c_str()));
    if (s != NATS_OK) return NatsError(s, StrCat("cannot read the CA file ", options.tls_ca));
  }
  if (!options.tls_cert.empty()) {
    then(natsOptions_LoadCertificatesChain(options_, options.tls_cert.c_str(), options.tls_key.c_str()));
    if (s != NATS_OK) return NatsError(s, StrCat("cannot read the certificate ", options.tls_cert));
  }
  return Try(s, "cannot set up the NATS client");
}

absl::Status NatsConnection::ConnectUntil(absl::Duration deadline, const std::string& url, Clock& clock) {
  const absl::Duration end = clock.Monotonic() + deadline;
  for (int attempt = 1;; ++attempt) {
    const natsStatus s = natsConnection_Connect(&connection_, options_);
    if (s == NATS_OK) return absl::OkStatus();
    connection_ = nullptr;
    if (s == NATS_CONNECTION_AUTH_FAILED || s == NATS_NOT_PERMITTED) {
      return absl::UnavailableError(StrCat("cannot connect to ", url,
                                           " — the server refuses these credentials — try --creds FILE"
                                           " or user:password@ in the URL"));
    }
    if (s == NATS_SECURE_CONNECTION_WANTED) {
      return absl::UnavailableError(StrCat("cannot connect to ", url,
                                           " — TLS is asked for, and the server has none"
                                           " — try nats:// and no --tls flag, or give the server TLS"));
    }
    const absl::Duration delay = absl::Milliseconds(ReconnectDelayMs(attempt));
    if (clock.Monotonic() + delay >= end) {
      if (s == NATS_SSL_ERROR) {
        return absl::UnavailableError(StrCat(
            "cannot connect to ", url, " — the server wants TLS, and the handshake failed: ", LastDetail(s),
            " — try --tls-ca FILE with who signed its certificate"));
      }
      return absl::UnavailableError(StrCat("cannot connect to ", url, " — ", natsStatus_GetText(s),
                                           " — is nats-server running there? try --nats URL"));
    }
    clock.Sleep(delay);
  }
}

absl::Status NatsConnection::RequestError(natsStatus status, const std::string& subject,
                                          std::string_view what) const {
  {
    absl::MutexLock lock(&mutex_);
    if (status != NATS_TIMEOUT || std::find(refused_.begin(), refused_.end(), subject) == refused_.end()) {
      return NatsError(status, what);
    }
  }
  return absl::PermissionDeniedError(
      StrCat(what, " — the server does not let this user publish to ", subject,
             " — `coordinator nats-permissions` prints what each kind of user has to be allowed"));
}

void NatsConnection::SayError(natsConnection* connection, natsStatus status) {
  const char* detail = nullptr;
  static_cast<void>(natsConnection_GetLastError(connection, &detail));
  const std::string what =
      StrCat(natsStatus_GetText(status), detail == nullptr ? "" : ": ", detail == nullptr ? "" : detail);
  const std::string refused = detail == nullptr ? std::string() : RefusedSubject(detail);
  std::optional<uint64_t> kept_back;
  {
    absl::MutexLock lock(&mutex_);
    if (!refused.empty() && std::find(refused_.begin(), refused_.end(), refused) == refused_.end()) {
      refused_.push_back(refused);
      if (refused_.size() > kMostRefused) refused_.pop_front();
    }
    kept_back = errors_.Pass(what, clock_.Monotonic());
  }
  if (kept_back.has_value()) LogWarning("NATS complains", {{"what", what}, {"kept_back", *kept_back}});
}

int64_t NatsConnection::ReconnectDelayMs(int attempts) {
  const int64_t ceiling =
      std::min<int64_t>(kMaxReconnectDelayMs, kMinReconnectDelayMs << std::min(attempts, 10));
  absl::MutexLock lock(&mutex_);
  return std::uniform_int_distribution<int64_t>(kMinReconnectDelayMs, ceiling)(random_);
}

std::string NatsConnection::Url() const {
  char url[512] = "";
  return natsConnection_GetConnectedUrl(connection_, url, sizeof url) == NATS_OK ? std::string(url)
                                                                                 : std::string();
}

}  // namespace millrace
