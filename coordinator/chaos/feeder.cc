#include "coordinator/chaos/feeder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "common/strings.h"

namespace millrace::chaos {
namespace {
constexpr size_t kMostUnsentBytes = 64 << 10;
constexpr size_t kMostBytesATurn = 4 << 20;
constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(300);
}  // namespace

Feeder::Feeder(FeederOptions options, const std::vector<LedgerRecord>& input, Clock& clock)
    : options_(std::move(options)), input_(input), clock_(clock) {}

Feeder::~Feeder() { ClosePipe(); }

absl::Status Feeder::Start(const std::string& failpoint) {
  ClosePipe();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("cannot make a pipe");
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  ProcessOptions options;
  options.arguments = {options_.program,  "submit",     options_.job_file,        "--input", "-", "--nats",
                       options_.nats_url, "--replicas", StrCat(options_.replicas)};
  options.environment = environment_;
  if (!failpoint.empty()) options.environment.push_back("MILLRACE_FAILPOINT=" + failpoint);
  options.log_file = options_.log_file;
  options.input_fd = ends[0];
  auto process = Process::Start(options);
  close(ends[0]);
  if (!process.ok()) {
    close(ends[1]);
    return process.status();
  }
  process_ = *std::move(process);
  pipe_ = ends[1];
  unsent_.clear();
  written_ = 0;
  ++starts_;
  return absl::OkStatus();
}

void Feeder::ClosePipe() {
  if (pipe_ >= 0) close(pipe_);
  pipe_ = -1;
}

void Feeder::Kill() {
  if (process_ == nullptr) return;
  process_->Signal(SIGKILL);
  while (!process_->HowItEnded().has_value()) clock_.Sleep(absl::Milliseconds(1));
  NoteEnd();
}

void Feeder::NoteEnd() {
  const bool killed = process_->ending_signal() == SIGKILL;
  killed_ends_ += killed ? 1 : 0;
  if (!killed && process_->exit_code() != 0) failed_with_ = process_->exit_code();
  done_ = process_->ending_signal() == 0 && process_->exit_code() == 0;
  process_.reset();
  ClosePipe();
  start_at_ = clock_.Monotonic() + (killed ? absl::ZeroDuration() : kPauseAfterFailure);
}

void Feeder::Turn(size_t due) {
  if (process_ != nullptr && process_->HowItEnded().has_value()) NoteEnd();
  if (done_) return;
  if (process_ == nullptr) {
    if (clock_.Monotonic() < start_at_ || !Start().ok()) return;
  }
  if (pipe_ >= 0) Write(std::min(due, input_.size()));
}

void Feeder::Write(size_t due) {
  size_t bytes = 0;
  while (bytes < kMostBytesATurn) {
    while (unsent_.size() < kMostUnsentBytes && written_ < due) unsent_ += InputLine(input_[written_++]);
    most_written_ = std::max(most_written_, written_);
    if (unsent_.empty()) break;
    const ssize_t sent = write(pipe_, unsent_.data(), unsent_.size());
    if (sent < 0) return;  // full, or the submit has died: the next turn sees which
    unsent_.erase(0, static_cast<size_t>(sent));
    bytes += static_cast<size_t>(sent);
  }
  if (close_at_end_ && unsent_.empty() && written_ == input_.size()) ClosePipe();
}

}  // namespace millrace::chaos
