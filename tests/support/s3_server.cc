#include "tests/support/s3_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/time/clock.h"
#include "common/http/http_sender.h"
#include "common/strings.h"
#include "tests/support/free_port.h"

extern char** environ;

namespace millrace {
namespace {

constexpr absl::Duration kS3StartLimit = absl::Seconds(20);

std::string S3Program() {
  if (const char* chosen = std::getenv("MILLRACE_S3_SERVER"); chosen != nullptr && *chosen != '\0')
    return chosen;
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string program = folder + "/versitygw";
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

pid_t Spawn(std::vector<std::string> arguments, const std::string& log) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = -1;
  if (posix_spawn(&pid, arguments[0].c_str(), &actions, nullptr, pointers.data(), environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

}  // namespace

bool S3Server::Available() { return !S3Program().empty(); }

std::unique_ptr<S3Server> S3Server::Start() {
  std::unique_ptr<S3Server> server(new S3Server);
  std::string folder = (std::filesystem::temp_directory_path() / "millrace-s3-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    ADD_FAILURE() << "cannot make a folder like " << folder;
    return nullptr;
  }
  server->folder_ = folder;
  std::filesystem::create_directories(StrCat(folder, "/store/", kBucket));
  std::filesystem::create_directories(folder + "/meta");
  server->port_ = FreePort();
  const std::string log = folder + "/s3.log";
  server->pid_ =
      Spawn({S3Program(), "--port", StrCat("127.0.0.1:", server->port_), "--access", kAccessKey, "--secret",
             kSecretKey, "--quiet", "posix", "--sidecar", folder + "/meta", folder + "/store"},
            log);
  const absl::Time end = absl::Now() + kS3StartLimit;
  HttpSender sender;
  while (server->pid_ < 0 || !sender.Send({"GET", server->endpoint(), {}, ""}, {}).ok()) {
    if (server->pid_ < 0 || absl::Now() > end || waitpid(server->pid_, nullptr, WNOHANG) == server->pid_) {
      std::ifstream text(log);
      ADD_FAILURE() << S3Program() << " does not answer at port " << server->port_ << ":\n" << text.rdbuf();
      return nullptr;
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return server;
}

S3Server::~S3Server() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string S3Server::endpoint() const { return StrCat("http://127.0.0.1:", port_); }

}  // namespace millrace
