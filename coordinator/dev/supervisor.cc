#include "coordinator/dev/supervisor.h"

#include <poll.h>

#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "common/signals.h"

namespace millrace {
namespace {
constexpr absl::Duration kTurn = absl::Milliseconds(50);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMostBackoff = absl::Seconds(5);
// A child that ran so long is counted as well, and its next death as its first.
constexpr absl::Duration kRanForLong = absl::Seconds(10);

absl::Duration BackoffOf(int attempt) {
  if (attempt == 1) return absl::ZeroDuration();
  return std::min(kFirstBackoff * (1 << std::min(attempt - 2, 10)), kMostBackoff);
}
}  // namespace

absl::Status Supervisor::Start(ChildOptions options) {
  auto process = Process::Start(options.arguments);
  if (!process.ok()) return process.status();
  Child child;
  child.options = std::move(options);
  child.process = *std::move(process);
  child.started_at = clock_.Monotonic();
  children_.push_back(std::move(child));
  return absl::OkStatus();
}

void Supervisor::Turn() {
  Wait();
  for (Child& child : children_) LookAfter(child);
}

void Supervisor::Wait() {
  std::vector<pollfd> outputs;
  for (const Child& child : children_) {
    if (child.process != nullptr) outputs.push_back({child.process->output_fd(), POLLIN, 0});
  }
  // A stop signal ends the wait. A child that has died leaves its pipe readable until it is looked after.
  poll(outputs.data(), outputs.size(), static_cast<int>(absl::ToInt64Milliseconds(kTurn)));
}

void Supervisor::PassOn(Child& child) {
  child.process->ReadLines([&](const std::string& line) {
    if (!child.options.shows || child.options.shows(line))
      say_(absl::StrCat(child.options.name, " | ", line));
  });
}

void Supervisor::LookAfter(Child& child) {
  const absl::Duration now = clock_.Monotonic();
  if (child.process == nullptr) {
    if (now >= child.start_at) StartAgain(child);
    return;
  }
  const auto end = child.process->HowItEnded();
  PassOn(child);
  if (!end.has_value()) return;
  if (now - child.started_at >= kRanForLong) child.attempt = 0;
  child.last_pid = child.process->pid();
  child.last_end = *end;
  child.process.reset();
  child.start_at = now + BackoffOf(++child.attempt);
  if (now >= child.start_at) StartAgain(child);
}

void Supervisor::StartAgain(Child& child) {
  auto process = Process::Start(child.options.arguments);
  const std::string what = absl::StrCat(child.options.name, " (pid ", child.last_pid, ") ", child.last_end);
  child.started_at = clock_.Monotonic();
  ++restarts_;
  if (!process.ok()) {
    say_(absl::StrCat(what, " — ", std::string(process.status().message()), ", attempt ", child.attempt));
    child.start_at = child.started_at + BackoffOf(++child.attempt);
    return;
  }
  child.process = *std::move(process);
  say_(absl::StrCat(what, " — started again as pid ", child.process->pid(), ", attempt ", child.attempt));
}

pid_t Supervisor::PidOf(const std::string& name) const {
  for (const Child& child : children_) {
    if (child.options.name == name && child.process != nullptr) return child.process->pid();
  }
  return 0;
}

void Supervisor::Stop(const std::vector<std::string>& names, absl::Duration patience) {
  const auto is_meant = [&](const Child& child) {
    return std::find(names.begin(), names.end(), child.options.name) != names.end();
  };
  for (Child& child : children_) {
    if (is_meant(child) && child.process != nullptr) child.process->Signal(SIGTERM);
  }
  const absl::Duration until = clock_.Monotonic() + patience;
  for (bool waiting = true; waiting;) {
    waiting = false;
    for (Child& child : children_) {
      if (child.process == nullptr) continue;
      const bool ended = child.process->HowItEnded().has_value();
      PassOn(child);
      if (is_meant(child) && !ended) waiting = true;
    }
    if (clock_.Monotonic() >= until || StopSignals() > 1) break;
    if (waiting) clock_.Sleep(absl::Milliseconds(20));  // a pipe at its end would make poll return at once
  }
  for (Child& child : children_) {
    if (is_meant(child) && child.process != nullptr && !child.process->HowItEnded().has_value()) {
      say_(
          absl::StrCat(child.options.name, " (pid ", child.process->pid(), ") did not end in time — killed"));
    }
  }
  std::erase_if(children_, is_meant);  // a Process that still runs is killed at its end
}

}  // namespace millrace
