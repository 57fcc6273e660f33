#include "tests/support/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "common/strings.h"
#include "tests/support/free_port.h"

extern char** environ;

namespace millrace {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(20);

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool Answers(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  char first = 0;
  const bool answers = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       recv(fd, &first, 1, 0) == 1 && first == 'I';
  close(fd);
  return answers;
}

}  // namespace

std::unique_ptr<NatsServer> NatsServer::Start(const Options& options) {
  std::unique_ptr<NatsServer> server(new NatsServer);
  std::string folder = (std::filesystem::temp_directory_path() / "millrace-nats-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    ADD_FAILURE() << "cannot make a folder like " << folder;
    return nullptr;
  }
  server->folder_ = folder;
  server->port_ = FreePort();
  std::ofstream config(StrCat(folder, "/nats.conf"));
  config << "listen: 127.0.0.1:" << server->port_ << "\nserver_name: test\n";
  if (options.jetstream) config << "jetstream { store_dir: \"" << folder << "/store\" }\n";
  config << options.config << "\n";
  config.close();
  if (!server->Launch()) return nullptr;
  return server;
}

NatsServer::~NatsServer() {
  if (pid_ > 0) Kill();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string NatsServer::url() const { return StrCat("nats://127.0.0.1:", port_); }

bool NatsServer::Launch() {
  const char* chosen = std::getenv("MILLRACE_NATS_SERVER");
  std::string program = chosen != nullptr && *chosen != '\0' ? chosen : "nats-server";
  std::string config = StrCat(folder_, "/nats.conf");
  std::string log = StrCat(folder_, "/nats.log");
  char config_flag[] = "-c";
  char log_flag[] = "-l";
  char* arguments[] = {program.data(), config_flag, config.data(), log_flag, log.data(), nullptr};
  if (posix_spawnp(&pid_, program.c_str(), nullptr, nullptr, arguments, environ) != 0) {
    ADD_FAILURE() << "cannot start " << program;
    pid_ = -1;
    return false;
  }
  const absl::Time end = absl::Now() + kStartLimit;
  while (!Answers(port_)) {
    if (absl::Now() > end || waitpid(pid_, nullptr, WNOHANG) == pid_) {
      std::ifstream text(log);
      ADD_FAILURE() << program << " does not answer at port " << port_ << ":\n" << text.rdbuf();
      return false;
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

void NatsServer::End(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void NatsServer::Stop() { End(SIGTERM); }
void NatsServer::Kill() { End(SIGKILL); }
bool NatsServer::Restart() { return Launch(); }
bool NatsServer::LoseStore() {
  std::error_code error;
  std::filesystem::remove_all(StrCat(folder_, "/store"), error);
  return !error;
}
void NatsServer::Pause() {
  kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);  // until it has stopped: its threads go on for a moment
}
void NatsServer::Continue() { kill(pid_, SIGCONT); }

}  // namespace millrace
