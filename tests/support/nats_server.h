// A nats-server of a test's own: JetStream in a temporary folder, a free port, ended by its pid. Which
// program: MILLRACE_NATS_SERVER, else nats-server on the PATH.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

class NatsServer {
 public:
  struct Options {
    bool jetstream = true;
    std::string config;  // more lines for its configuration file
  };

  // Starts one and waits until it answers; nullptr (and a failed expectation) when it does not.
  static std::unique_ptr<NatsServer> Start(const Options& options);
  static std::unique_ptr<NatsServer> Start() { return Start(Options()); }
  ~NatsServer();  // kills it, removes its folder
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  std::string url() const;
  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  const std::string& folder() const { return folder_; }

  void Stop();       // SIGTERM, and waits for its end
  void Kill();       // SIGKILL, likewise
  bool Restart();    // at the same port, on the same store; REQUIRES: it does not run
  bool LoseStore();  // everything it kept is gone; REQUIRES: it does not run
  void Pause();      // SIGSTOP
  void Continue();

 private:
  NatsServer() = default;
  bool Launch();
  void End(int signal);

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace millrace
