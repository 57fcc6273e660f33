#include "common/bus/nats_flags.h"

#include <utility>

namespace millrace {

NatsOptions NatsOptionsOf(const CommonOptions& flags, std::string client_name) {
  NatsOptions options;
  options.url = flags.nats;
  options.creds = flags.creds;
  options.inbox_prefix = flags.inbox_prefix;
  options.tls_ca = flags.tls_ca;
  options.tls_cert = flags.tls_cert;
  options.tls_key = flags.tls_key;
  options.client_name = std::move(client_name);
  return options;
}

}  // namespace millrace
