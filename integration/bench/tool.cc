#include "integration/bench/tool.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "common/strings.h"

namespace millrace::bench {
namespace {

constexpr size_t kUserTicksField =
    11;  // in /proc/PID/stat, counted from behind the command's name; system's is next

double CpuSeconds(int64_t pid) {
  std::ifstream file(StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return 0;
  std::istringstream rest(line.substr(line.rfind(')') + 2));
  std::string word;
  double ticks = 0;
  for (size_t field = 0; field <= kUserTicksField + 1 && rest >> word; ++field) {
    double value = 0;
    if (field >= kUserTicksField && absl::SimpleAtod(word, &value)) ticks += value;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ToolFlags::ToolFlags(const std::string& tool, const std::string& what)
    : flags_(StrCat("bench_tools ", tool, " [FLAGS]"), what, StrCat("bench_tools ", tool, " --help")) {
  common_.AddTo(flags_);
}

absl::Status ToolFlags::Parse(const std::vector<std::string>& arguments) {
  const absl::StatusOr<Flags::Outcome> outcome = flags_.Parse(arguments);
  if (!outcome.ok()) return outcome.status();
  if (!outcome->proceed) return absl::CancelledError("");
  return common_.Apply("bench_tools");
}

NatsOptions ToolFlags::Nats() const {
  NatsOptions options;
  options.url = common_.nats;
  options.client_name = "millrace bench";
  return options;
}

absl::StatusOr<std::unique_ptr<Bus>> ToolFlags::Connect() const { return ConnectNats(Nats(), SystemClock()); }

absl::StatusOr<std::unique_ptr<Bus>> ToolFlags::ConnectToSendAtOnce() const {
  NatsOptions options = Nats();
  options.sends_at_once = true;
  return ConnectNats(options, SystemClock());
}

void Print(const Json& document) {
  std::printf("%s\n", document.dump().c_str());
  std::fflush(stdout);
}

CpuMeter::CpuMeter(const std::string& pids, bool with_self) {
  for (const absl::string_view part : absl::StrSplit(pids, ',', absl::SkipEmpty())) {
    int64_t pid = 0;
    if (absl::SimpleAtoi(part, &pid)) pids_.push_back(pid);
  }
  if (with_self) pids_.push_back(getpid());
}

void CpuMeter::Start() {
  at_start_.clear();
  for (const int64_t pid : pids_) at_start_.push_back(CpuSeconds(pid));
}

Json CpuMeter::Stop() const {
  Json each = Json::array();
  double sum = 0;
  for (size_t i = 0; i < at_start_.size(); ++i) {
    const double used = std::max(0.0, CpuSeconds(pids_[i]) - at_start_[i]);
    each.push_back(used);
    sum += used;
  }
  return {{"each", each}, {"sum", sum}};
}

absl::StatusOr<StreamSpan> SpanOf(Bus& bus, const std::vector<std::string>& streams, uint64_t first) {
  StreamSpan span;
  span.first_ns = std::numeric_limits<int64_t>::max();
  for (const std::string& name : streams) {
    const absl::StatusOr<StreamInfo> info = bus.GetStream(name);
    if (!info.ok()) return info.status();
    const absl::StatusOr<Message> begin = bus.GetMessage(name, first);
    if (!begin.ok()) return begin.status();
    const absl::StatusOr<Message> end = bus.GetMessage(name, info->last_sequence);
    if (!end.ok()) return end.status();
    span.first_ns = std::min(span.first_ns, begin->time_ns);
    span.last_ns = std::max(span.last_ns, end->time_ns);
    span.messages += info->last_sequence - first + 1;
    span.bytes += info->bytes;
  }
  return span;
}

}  // namespace millrace::bench
