#include "coordinator/dev/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

constexpr int kExecFailed = 127;
constexpr size_t kMostLineBytes = 64 << 10;  // a longer line comes in pieces

// Runs in the child: only what is safe between fork and exec.
[[noreturn]] void Become(const std::vector<char*>& argv, int output, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);  // it died before the line above
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  execv(argv[0], argv.data());
  _exit(kExecFailed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a pipe — ", std::strerror(errno)));
  }
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(argv, ends[1], parent);
  const int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start ", arguments[0], " — ", std::strerror(error)));
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Process>(new Process(pid, ends[0]));
}

Process::~Process() {
  if (!HowItEnded().has_value()) {
    Signal(SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(output_fd_);
}

void Process::ReadLines(const std::function<void(const std::string&)>& line) {
  char chunk[4096];
  for (ssize_t n; (n = read(output_fd_, chunk, sizeof(chunk))) > 0;) {
    partial_line_.append(chunk, static_cast<size_t>(n));
    size_t start = 0;
    for (size_t end; (end = partial_line_.find('\n', start)) != std::string::npos; start = end + 1) {
      line(partial_line_.substr(start, end - start));
    }
    partial_line_.erase(0, start);
    if (partial_line_.size() > kMostLineBytes) {
      line(partial_line_);
      partial_line_.clear();
    }
  }
}

void Process::Signal(int number) {
  if (!end_.has_value()) kill(pid_, number);
}

std::optional<std::string> Process::HowItEnded() {
  int status = 0;
  if (!end_.has_value() && waitpid(pid_, &status, WNOHANG) == pid_) {
    if (WIFSIGNALED(status)) {
      end_ = absl::StrCat("was killed by signal ", WTERMSIG(status));
    } else {
      end_ = absl::StrCat("ended with exit code ", WEXITSTATUS(status));
    }
  }
  return end_;
}

}  // namespace millrace
