// Flags of an executable or a command, over Boost.Program_options: the command line first, then MILLRACE_* in
// the environment (--lease-ttl is MILLRACE_LEASE_TTL; NATS_URL also serves --nats), then the file that
// --config names, then the default.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log.h"

namespace millrace {

// Not thread-safe. The variables must outlive Parse; what they hold before it is the default that --help
// shows.
class Flags {
 public:
  // `usage`: "coordinator submit JOB.yaml [--input FILE|-]..."; `what`: a sentence; `example`: a line to
  // copy.
  Flags(std::string usage, std::string what, std::string example);
  ~Flags();

  void Add(const std::string& name, std::string* value, const std::string& metavar, const std::string& help);
  void Add(const std::string& name, absl::Duration* value, const std::string& help);
  void Add(const std::string& name, int64_t* value, const std::string& metavar, const std::string& help);
  void Add(const std::string& name, std::optional<int64_t>* value, const std::string& metavar,
           const std::string& help);
  void Add(const std::string& name, std::vector<std::string>* values, const std::string& metavar,
           const std::string& help);  // repeats
  void Add(const std::string& name, std::optional<std::string>* value, const std::string& metavar,
           const std::string& help);
  // One of `choices`, the first of which an error names where none is near.
  void AddChoice(const std::string& name, std::string* value, const std::string& metavar,
                 const std::vector<std::string>& choices, const std::string& help);
  // `check` says what is wrong with a text, in one line that does not name the flag.
  void AddChecked(const std::string& name, std::string* value, const std::string& metavar,
                  absl::Status (*check)(const std::string&), const std::string& help);
  void AddSize(const std::string& name, uint64_t* value, const std::string& help);
  void AddSwitch(const std::string& name, bool* value, const std::string& help);
  void AddShort(char letter, const std::string& name);  // -o for --output
  // Arguments without a flag, in order; the last one may take all that are left.
  void Positional(const std::string& name, std::string* value);  // required
  void OptionalPositional(const std::string& name, std::string* value);
  void Positionals(const std::string& name, std::vector<std::string>* values);  // any number

  // Flags that other commands have: a config file that serves them all may set them, and nothing comes of it here.
  void AcceptInConfig(const Flags& of_others);

  // What to do after Parse: go on, or leave with `exit_code` (--help and --version have printed already).
  struct Outcome {
    bool proceed = true;
    int exit_code = 0;
  };
  // INVALID_ARGUMENT, one line with a near miss where there is one: an unknown flag, a bad value, a missing
  // argument.
  absl::StatusOr<Outcome> Parse(const std::vector<std::string>& arguments);
  std::string Help() const;
  // For `completion`: every long flag.
  std::vector<std::string> Names() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The flags that every command has: --nats, --creds, --inbox-prefix, --tls-ca, --tls-cert, --tls-key, --log-level,
// --log-format.
struct CommonOptions {
  std::string nats = "nats://127.0.0.1:4222";
  std::string creds, tls_ca, tls_cert, tls_key;
  std::string inbox_prefix = "_INBOX";
  std::string log_level = "info";
  std::string log_format = "text";

  void AddTo(Flags& flags);
  // Checks what only all of them together tell, and sets the logging up.
  absl::Status Apply(std::string_view component) const;
};

}  // namespace millrace
