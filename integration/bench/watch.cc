// watch: looks at a job's result streams from outside until they have what is waited for, and says what the
// broker's own times make of it. It reads the ends of the streams only, so that it costs the broker next to
// nothing.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/signals.h"
#include "common/strings.h"
#include "integration/bench/tool.h"

namespace millrace::bench {
namespace {

struct WatchFlags {
  std::string job = "bench";
  std::string until = "end";
  std::string pids;
  int64_t partitions = 16;
  int64_t records = 0;
};

struct Watched {
  std::string stream;
  std::string subject;
  uint64_t base = 0;  // what was there before counts not
  uint64_t last = 0;
  int64_t last_ns = 0;
  uint64_t records = 0;
  bool has_results = false;
  bool ended = false;
};

class Watcher {
 public:
  Watcher(Bus& bus, const WatchFlags& flags) : bus_(bus), flags_(flags) {
    for (uint32_t p = 0; p < static_cast<uint32_t>(flags.partitions); ++p) {
      streams_.push_back({ResultStream(flags.job, PartitionId(p)), ResultSubject(flags.job, PartitionId(p))});
    }
  }

  // Only what comes after this is looked at.
  absl::Status BeginBehind() {
    for (Watched& watched : streams_) {
      const absl::StatusOr<StreamInfo> info = bus_.GetStream(watched.stream);
      if (!info.ok()) return info.status();
      watched.base = watched.last = info->last_sequence;
    }
    return absl::OkStatus();
  }

  absl::Status Run(CpuMeter& cpu) {
    const absl::Duration deadline = SystemClock().Monotonic() + kPatience;
    bool started = false;
    while (!Done()) {
      if (StopSignals() > 0 || SystemClock().Monotonic() > deadline) {
        return absl::DeadlineExceededError("the results did not come in time");
      }
      SystemClock().Sleep(kLookInterval);
      for (Watched& watched : streams_) {
        if (absl::Status looked = Look(watched); !looked.ok()) return looked;
      }
      if (!started &&
          std::any_of(streams_.begin(), streams_.end(), [](const Watched& w) { return w.has_results; })) {
        started = true;
        cpu.Start();
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Summary() {
    int64_t first_ns = std::numeric_limits<int64_t>::max();
    int64_t last_ns = 0;
    uint64_t records = 0;
    uint64_t messages = 0;
    for (const Watched& watched : streams_) {
      const absl::StatusOr<int64_t> first = FirstResultNs(watched);
      if (!first.ok()) return first.status();
      first_ns = std::min(first_ns, *first);
      last_ns = std::max(last_ns, watched.last_ns);
      records += watched.records;
      messages += watched.last - watched.base;
    }
    return Json{{"seconds", static_cast<double>(last_ns - first_ns) * 1e-9},
                {"first_ns", first_ns},
                {"records", records},
                {"messages", messages}};
  }

 private:
  bool Done() const {
    if (flags_.until == "first") {
      return std::any_of(streams_.begin(), streams_.end(), [](const Watched& w) { return w.has_results; });
    }
    if (flags_.until == "end") {
      return std::all_of(streams_.begin(), streams_.end(), [](const Watched& w) { return w.ended; });
    }
    uint64_t records = 0;
    for (const Watched& watched : streams_) records += watched.records;
    return records >= static_cast<uint64_t>(flags_.records);
  }

  absl::Status Look(Watched& watched) {
    if (watched.ended) return absl::OkStatus();
    const absl::StatusOr<StreamInfo> info = bus_.GetStream(watched.stream);
    if (!info.ok()) return info.status();
    if (info->last_sequence == watched.last) return absl::OkStatus();
    const absl::StatusOr<Message> message = bus_.GetLastMessage(watched.stream, watched.subject);
    if (!message.ok()) return message.status();
    const absl::StatusOr<MessageHeader> header = ParseMessageHeader(message->header);
    if (!header.ok()) return header.status();
    watched.last = message->sequence;
    watched.last_ns = message->time_ns;
    watched.ended = header->kind == FrameKind::kEnd;
    watched.has_results |= watched.ended || header->kind == FrameKind::kResults;
    watched.records = std::max(watched.records, header->records);
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> FirstResultNs(const Watched& watched) {
    for (uint64_t sequence = watched.base + 1; sequence <= watched.last; ++sequence) {
      const absl::StatusOr<Message> message = bus_.GetMessage(watched.stream, sequence);
      if (!message.ok()) return message.status();
      const absl::StatusOr<MessageHeader> header = ParseMessageHeader(message->header);
      if (header.ok() && header->kind == FrameKind::kResults) return message->time_ns;
    }
    return std::numeric_limits<int64_t>::max();
  }

  Bus& bus_;
  const WatchFlags flags_;
  std::vector<Watched> streams_;
};

}  // namespace

absl::Status RunWatch(const std::vector<std::string>& arguments) {
  WatchFlags flags;
  bool behind = false;
  ToolFlags tool("watch", "Waits for a job's results and says how long they took by the broker's times.");
  tool.flags().Add("job", &flags.job, "NAME", "whose results");
  tool.flags().Add("partitions", &flags.partitions, "N", "of the job");
  tool.flags().Add(
      "until", &flags.until, "WHAT",
      "end: every result stream has its end mark; records: there are --records; first: a new result");
  tool.flags().Add("records", &flags.records, "N", "see --until");
  tool.flags().Add("pids", &flags.pids, "PID,...", "processes whose processor time counts");
  tool.flags().AddSwitch("behind", &behind,
                         "begin behind what is there; prints `ready` when it knows where that is");
  if (absl::Status parsed = tool.Parse(arguments); !parsed.ok()) return parsed;
  if (flags.until != "end" && flags.until != "records" && flags.until != "first") {
    return absl::InvalidArgumentError("--until is end, records or first");
  }
  const absl::StatusOr<std::unique_ptr<Bus>> bus = tool.Connect();
  if (!bus.ok()) return bus.status();
  Watcher watcher(**bus, flags);
  if (behind) {
    if (absl::Status begun = watcher.BeginBehind(); !begun.ok()) return begun;
    Print("ready");
  }
  CpuMeter cpu(flags.pids, false);
  if (absl::Status ran = watcher.Run(cpu); !ran.ok()) return ran;
  const Json used = cpu.Stop();
  absl::StatusOr<Json> summary = watcher.Summary();
  if (!summary.ok()) return summary.status();
  (*summary)["cpu"] = used;
  Print(*summary);
  return absl::OkStatus();
}

}  // namespace millrace::bench
