#include "coordinator/dev/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

constexpr int kExecFailed = 127;
constexpr size_t kMostLineBytes = 64 << 10;  // a longer line comes in pieces

// What the child becomes, made before the fork: behind it nothing may be allocated.
struct Image {
  std::vector<char*> argv, envp;
  int input = -1, output = -1, error = -1;
};

// Runs in the child: only what is safe between fork and exec.
[[noreturn]] void Become(const Image& image, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);  // it died before the line above
  const int input = image.input >= 0 ? image.input : open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(image.output, STDOUT_FILENO);
  dup2(image.error, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, 0);  // sockets of libraries that do not mark theirs
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  execve(image.argv[0], image.argv.data(), image.envp.data());
  _exit(kExecFailed);
}

char* Bytes(const std::string& text) { return const_cast<char*>(text.c_str()); }

bool IsReplaced(std::string_view ours, const std::vector<std::string>& environment) {
  const std::string_view name = ours.substr(0, ours.find('=') + 1);
  return std::any_of(environment.begin(), environment.end(),
                     [&](const std::string& entry) { return entry.compare(0, name.size(), name) == 0; });
}

Image ImageOf(const ProcessOptions& options) {
  Image image;
  for (const std::string& argument : options.arguments) image.argv.push_back(Bytes(argument));
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!IsReplaced(*entry, options.environment)) image.envp.push_back(*entry);
  }
  for (const std::string& entry : options.environment) image.envp.push_back(Bytes(entry));
  image.argv.push_back(nullptr);
  image.envp.push_back(nullptr);
  image.input = options.input_fd;
  return image;
}

// Where a child writes, and which of it is ours to close when it has been started.
struct Outputs {
  int to_read = -1;
  std::vector<int> to_close;

  absl::StatusOr<int> OpenFile(const std::string& path, int how) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, 0644);
    if (fd < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path, " — ", std::strerror(errno), " — try another folder"));
    }
    to_close.push_back(fd);
    return fd;
  }
  absl::StatusOr<int> OpenPipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      return absl::ResourceExhaustedError(absl::StrCat("cannot make a pipe — ", std::strerror(errno)));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    to_read = ends[0];
    to_close.push_back(ends[1]);
    return ends[1];
  }
  void CloseOurs() {
    for (const int fd : to_close) close(fd);
    to_close.clear();
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const ProcessOptions& options) {
  Image image = ImageOf(options);
  Outputs outputs;
  const auto closer = absl::MakeCleanup([&] { outputs.CloseOurs(); });
  const auto error =
      options.log_file.empty() ? outputs.OpenPipe() : outputs.OpenFile(options.log_file, O_APPEND);
  if (!error.ok()) return error.status();
  image.output = image.error = *error;
  if (!options.output_file.empty()) {
    const auto output = outputs.OpenFile(options.output_file, O_TRUNC);
    if (!output.ok()) return output.status();
    image.output = *output;
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(image, parent);
  if (pid < 0) {
    const std::string why = std::strerror(errno);
    if (outputs.to_read >= 0) close(outputs.to_read);
    return absl::ResourceExhaustedError(absl::StrCat("cannot start ", options.arguments[0], " — ", why));
  }
  return std::unique_ptr<Process>(new Process(pid, outputs.to_read));
}

Process::~Process() {
  if (!HowItEnded().has_value()) {
    Signal(SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (output_fd_ >= 0) close(output_fd_);
}

void Process::ReadLines(const std::function<void(const std::string&)>& line) {
  if (output_fd_ < 0) return;
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
      ending_signal_ = WTERMSIG(status);
      end_ = absl::StrCat("was killed by signal ", ending_signal_);
    } else {
      exit_code_ = WEXITSTATUS(status);
      end_ = absl::StrCat("ended with exit code ", exit_code_);
    }
  }
  return end_;
}

}  // namespace millrace
