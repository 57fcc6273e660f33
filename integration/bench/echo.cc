// echo: the ceiling. Pulls every frame of a job's input and appends it to a stream of the same number, with
// no decoding, no state and no promise; what Millrace does on top of that is what its own runs cost more.
#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/names.h"
#include "common/signals.h"
#include "common/strings.h"
#include "integration/bench/tool.h"

namespace millrace::bench {
namespace {

constexpr uint64_t kWindowBytes = 2 << 20;  // of each reader, and so of what is appended and not acknowledged

struct EchoFlags {
  std::string job = "bench";
  std::string to = "echo";
  std::string pids;
  int64_t partitions = 16;
  int64_t pack_bytes = 0;
  bool follow = false;
};

std::string OutputStream(const EchoFlags& flags, uint32_t p) { return StrCat("bench-", flags.to, "-", p); }
std::string OutputSubject(const EchoFlags& flags, uint32_t p) { return StrCat("bench.", flags.to, ".", p); }

class Echo {
 public:
  Echo(Bus& bus, const EchoFlags& flags)
      : bus_(bus), flags_(flags), partitions_(static_cast<size_t>(flags.partitions)) {}

  absl::Status Open() {
    for (uint32_t p = 0; p < partitions_.size(); ++p) {
      StreamConfig config;
      config.name = OutputStream(flags_, p);
      config.subjects = {OutputSubject(flags_, p)};
      if (const auto made = bus_.CreateStream(config); !made.ok()) return made.status();
      ReaderOptions reader;
      reader.stream = InputStream(flags_.job, SegmentId(0), PartitionId(p));
      reader.name_hint = "echo";
      reader.window_bytes = kWindowBytes;
      reader.await_stream = flags_.follow;
      if (!flags_.follow) {
        const absl::StatusOr<StreamInfo> info = bus_.GetStream(reader.stream);
        if (!info.ok()) return info.status();
        partitions_[p].left = info->last_sequence;
        left_ += info->last_sequence;
      }
      partitions_[p].subject = OutputSubject(flags_, p);
      partitions_[p].reader = bus_.OpenReader(reader);
      if (reader_base_ == 0) reader_base_ = partitions_[p].reader;
    }
    return absl::OkStatus();
  }

  absl::Status Run(CpuMeter& cpu) {
    while (flags_.follow ? StopSignals() == 0 : left_ > 0) {
      events_.clear();
      bus_.Poll(kPollWait, kEventsAPoll, &events_);
      if (!events_.empty() && !started_) {
        started_ = true;
        cpu.Start();
      }
      for (BusEvent& event : events_) {
        if (absl::Status handled = Handle(event); !handled.ok()) return handled;
      }
      EndTurn();
    }
    return absl::OkStatus();
  }

 private:
  struct Held {
    uint32_t messages = 0;
    uint64_t bytes = 0;
  };
  struct Partition {
    std::string subject;
    ReaderId reader = 0;
    uint64_t left = 0;
    std::string pack;
    Held packed;              // in `pack`
    std::deque<Held> flying;  // appended, not acknowledged
    Held granted;             // acknowledged in this turn
  };

  absl::Status Handle(BusEvent& event) {
    switch (event.type) {
      case BusEvent::Type::kMessage:
        return Take(static_cast<uint32_t>(event.reader - reader_base_), event.message);
      case BusEvent::Type::kAppended: {
        if (!event.status.ok()) return event.status;
        Partition& partition = partitions_[event.cookie];
        const Held held = partition.flying.front();
        partition.flying.pop_front();
        partition.granted.messages += held.messages;
        partition.granted.bytes += held.bytes;
        left_ -= std::min<uint64_t>(left_, held.messages);
        return absl::OkStatus();
      }
      case BusEvent::Type::kReaderError:
        return event.status;
      case BusEvent::Type::kReconnected:
      case BusEvent::Type::kDisconnected:
        return absl::UnavailableError("the connection was lost: the measurement is void");
    }
    return absl::OkStatus();
  }

  absl::Status Take(uint32_t p, const Message& message) {
    Partition& partition = partitions_[p];
    if (flags_.pack_bytes == 0) {
      partition.packed = {1, message.payload.size()};
      return Append(p, message.header, message.payload);
    }
    partition.pack.append(message.payload);
    ++partition.packed.messages;
    partition.packed.bytes += message.payload.size();
    return partition.pack.size() >= static_cast<size_t>(flags_.pack_bytes) ? AppendPack(p) : absl::OkStatus();
  }

  absl::Status AppendPack(uint32_t p) {
    const absl::Status appended = Append(p, "", partitions_[p].pack);
    partitions_[p].pack.clear();
    return appended;
  }

  absl::Status Append(uint32_t p, std::string_view header, std::string_view payload) {
    Partition& partition = partitions_[p];
    AppendRequest request;
    request.subject = partition.subject;
    request.header = header;
    request.payload = payload;
    request.cookie = p;
    partition.flying.push_back(std::exchange(partition.packed, Held()));
    return bus_.Append(request);
  }

  // What is packed leaves when nothing of its partition is on its way, as a worker's results do.
  void EndTurn() {
    for (uint32_t p = 0; p < partitions_.size(); ++p) {
      Partition& partition = partitions_[p];
      if (!partition.pack.empty() && partition.flying.empty()) AppendPack(p).IgnoreError();
      const Held granted = std::exchange(partition.granted, Held());
      if (granted.messages > 0) bus_.Grant(partition.reader, granted.messages, granted.bytes);
    }
    bus_.Flush();
  }

  Bus& bus_;
  const EchoFlags flags_;
  std::vector<Partition> partitions_;
  std::vector<BusEvent> events_;
  ReaderId reader_base_ = 0;  // readers are numbered one after the other
  uint64_t left_ = 0;
  bool started_ = false;
};

}  // namespace

absl::Status RunEcho(const std::vector<std::string>& arguments) {
  EchoFlags flags;
  ToolFlags tool("echo", "Copies a job's input streams to as many others, as fast as the broker allows.");
  tool.flags().Add("job", &flags.job, "NAME", "whose input to copy");
  tool.flags().Add("to", &flags.to, "NAME", "of the output streams, in part");
  tool.flags().Add("partitions", &flags.partitions, "N", "of the job");
  tool.flags().Add("pack", &flags.pack_bytes, "BYTES",
                   "many messages into one of so many bytes; 0: each as it is");
  tool.flags().Add("pids", &flags.pids, "PID,...", "processes whose processor time counts too");
  tool.flags().AddSwitch("follow", &flags.follow, "go on until SIGTERM");
  if (absl::Status parsed = tool.Parse(arguments); !parsed.ok()) return parsed;
  const absl::StatusOr<std::unique_ptr<Bus>> bus = flags.follow ? tool.ConnectToSendAtOnce() : tool.Connect();
  if (!bus.ok()) return bus.status();
  Echo echo(**bus, flags);
  CpuMeter cpu(flags.pids, true);
  if (absl::Status opened = echo.Open(); !opened.ok()) return opened;
  if (absl::Status ran = echo.Run(cpu); !ran.ok() || flags.follow) return ran;
  const Json used = cpu.Stop();
  std::vector<std::string> outputs;
  for (uint32_t p = 0; p < static_cast<uint32_t>(flags.partitions); ++p)
    outputs.push_back(OutputStream(flags, p));
  const absl::StatusOr<StreamSpan> span = SpanOf(**bus, outputs, 1);
  if (!span.ok()) return span.status();
  Print({{"seconds", static_cast<double>(span->last_ns - span->first_ns) * 1e-9},
         {"messages", span->messages},
         {"bytes", span->bytes},
         {"cpu", used}});
  for (const std::string& output : outputs) (void)(*bus)->DeleteStream(output);
  return absl::OkStatus();
}

}  // namespace millrace::bench
