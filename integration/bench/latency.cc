// latency: appends records at a steady rate, as a plain NATS client does, and reads the results in the same
// process, so that one clock sees both ends. A record's time begins when it was due, sent in time or not.
#include <algorithm>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "integration/bench/job.h"
#include "integration/bench/tool.h"
#include "integration/bench/workload.h"

namespace millrace::bench {
namespace {

constexpr absl::Duration kStartPatience = absl::Seconds(60);  // with the first result of every partition
constexpr absl::Duration kDrainPatience = absl::Seconds(30);  // with the last
constexpr absl::Duration kWarmUp = absl::Seconds(2);          // at the full rate, not counted
constexpr absl::Duration kShortestWait = absl::Microseconds(20);

struct LatencyFlags {
  std::string job = "bench";
  std::string copies;
  int64_t partitions = 16;
  int64_t keys = 10'000;
  int64_t rate = 10'000;
  int64_t seconds = 10;
};

class Probe {
 public:
  Probe(Bus& bus, const LatencyFlags& flags)
      : bus_(bus), flags_(flags), due_(static_cast<size_t>(flags.partitions)) {
    const auto keys = static_cast<uint64_t>(flags.keys);
    for (uint64_t i = 0; i < keys; ++i) {
      const std::string key = KeyText(KeyNumber(i, keys));
      const uint32_t p = PartitionOf(key, static_cast<uint32_t>(flags.partitions)).value();
      records_.push_back({p, JsonLine(KeyNumber(i, keys))});
    }
    for (uint32_t p = 0; p < due_.size(); ++p) {
      subjects_.push_back(InputSubject(flags.job, SegmentId(0), PartitionId(p)));
      ReaderOptions reader;
      reader.stream = flags.copies.empty() ? ResultStream(flags.job, PartitionId(p))
                                           : StrCat("bench-", flags.copies, "-", p);
      reader.await_stream = true;
      reader.name_hint = "probe";
      const ReaderId id = bus.OpenReader(reader);
      if (reader_base_ == 0) reader_base_ = id;
    }
  }

  // One record through every partition: they are there, owned and warm.
  absl::Status Greet() {
    const absl::Duration deadline = Now() + kStartPatience;
    for (uint32_t p = 0; p < due_.size(); ++p) {
      const auto record =
          std::find_if(records_.begin(), records_.end(), [p](const Record& r) { return r.partition == p; });
      if (record == records_.end()) return absl::InvalidArgumentError("too few keys for so many partitions");
      if (absl::Status sent = Send(*record, Now()); !sent.ok()) return sent;
    }
    return WaitForAll(deadline);
  }

  absl::Status Run() {
    const absl::Duration began = Now();
    const absl::Duration gap = absl::Seconds(1) / flags_.rate;
    const uint64_t warm_up = static_cast<uint64_t>(flags_.rate * absl::ToInt64Seconds(kWarmUp));
    const uint64_t total = warm_up + static_cast<uint64_t>(flags_.rate * flags_.seconds);
    count_from_ = began + gap * static_cast<int64_t>(warm_up);
    for (uint64_t i = 0; i < total;) {
      const absl::Duration due = began + gap * static_cast<int64_t>(i);
      const absl::Duration now = Now();
      if (now < due) {
        if (absl::Status turned = Turn(std::max(due - now, kShortestWait)); !turned.ok()) return turned;
        continue;
      }
      if (absl::Status sent = Send(records_[i % records_.size()], due); !sent.ok()) return sent;
      if (++i % kSendsATurn == 0) {
        if (absl::Status turned = Turn(absl::ZeroDuration()); !turned.ok()) return turned;
      }
    }
    return WaitForAll(Now() + kDrainPatience);
  }

  Json Summary() {
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    const auto at = [this](double share) {
      const auto index = static_cast<size_t>(share * static_cast<double>(latencies_ms_.size()));
      return latencies_ms_.empty() ? 0.0 : latencies_ms_[std::min(index, latencies_ms_.size() - 1)];
    };
    return {{"records", latencies_ms_.size()},
            {"p50_ms", at(0.5)},
            {"p90_ms", at(0.9)},
            {"p99_ms", at(0.99)},
            {"p999_ms", at(0.999)},
            {"max_ms", at(1.0)}};
  }

 private:
  struct Record {
    uint32_t partition;
    std::string json;
  };
  static constexpr uint64_t kSendsATurn = 64;  // when behind: look at what came in between

  static absl::Duration Now() { return SystemClock().Monotonic(); }

  absl::Status Send(const Record& record, absl::Duration due) {
    AppendRequest request;
    request.subject = subjects_[record.partition];
    request.payload = record.json;
    request.cookie = record.partition;
    due_[record.partition].push_back(due);
    ++sent_;
    return bus_.Append(request);
  }

  absl::Status WaitForAll(absl::Duration deadline) {
    while (arrived_ < sent_) {
      if (Now() > deadline)
        return absl::DeadlineExceededError(
            StrCat(sent_ - arrived_, " of ", sent_, " records did not come back"));
      if (absl::Status turned = Turn(kPollWait); !turned.ok()) return turned;
    }
    return absl::OkStatus();
  }

  absl::Status Turn(absl::Duration wait) {
    events_.clear();
    bus_.Poll(wait, kEventsAPoll, &events_);
    for (const BusEvent& event : events_) {
      if (event.type == BusEvent::Type::kReaderError || event.type == BusEvent::Type::kAppended) {
        if (!event.status.ok()) return event.status;
      }
      if (event.type != BusEvent::Type::kMessage) continue;
      const auto p = static_cast<uint32_t>(event.reader - reader_base_);
      if (absl::Status taken = Take(p, event.message); !taken.ok()) return taken;
      bus_.Grant(event.reader, 1, event.message.payload.size());
    }
    return absl::OkStatus();
  }

  // Nobody else writes: the nth record sent to a partition has the offset n, and the label of its result says
  // so.
  absl::Status Take(uint32_t p, const Message& message) {
    const absl::Duration now = Now();
    if (!flags_.copies.empty()) return Arrived(p, message.sequence, now);
    const absl::StatusOr<MessageHeader> header = ParseMessageHeader(message.header);
    if (!header.ok()) return header.status();
    if (header->kind != FrameKind::kResults) return absl::OkStatus();
    if (absl::Status parsed = frame_.ParseInto(message.payload); !parsed.ok()) return parsed;
    FrameView::Cursor records = frame_.records();
    for (RecordView record; records.Next(&record);) {
      if (absl::Status counted = Arrived(p, record.offset.value(), now); !counted.ok()) return counted;
    }
    return records.status();
  }

  absl::Status Arrived(uint32_t p, uint64_t offset, absl::Duration now) {
    if (offset == 0 || offset > due_[p].size())
      return absl::DataLossError(StrCat("a result of offset ", offset, ", which was not sent"));
    ++arrived_;
    const absl::Duration due = due_[p][offset - 1];
    if (due >= count_from_) latencies_ms_.push_back(absl::ToDoubleMilliseconds(now - due));
    return absl::OkStatus();
  }

  Bus& bus_;
  const LatencyFlags flags_;
  std::vector<Record> records_;
  std::vector<std::string> subjects_;
  std::vector<std::vector<absl::Duration>> due_;  // by partition and offset - 1: when it was due
  std::vector<BusEvent> events_;
  std::vector<double> latencies_ms_;
  FrameView frame_;
  ReaderId reader_base_ = 0;  // readers are numbered one after the other
  absl::Duration count_from_ = absl::InfiniteDuration();
  uint64_t sent_ = 0;
  uint64_t arrived_ = 0;
};

}  // namespace

absl::Status RunLatency(const std::vector<std::string>& arguments) {
  LatencyFlags flags;
  ToolFlags tool("latency",
                 "Makes a job, sends it records at a rate and measures how long each result takes.");
  tool.flags().Add("job", &flags.job, "NAME", "the job; made here");
  tool.flags().Add("copies", &flags.copies, "NAME",
                   "read what `echo --follow --to NAME` copies instead of results");
  tool.flags().Add("partitions", &flags.partitions, "N", "of the job");
  tool.flags().Add("keys", &flags.keys, "N", "how many different ones");
  tool.flags().Add("rate", &flags.rate, "N", "records a second");
  tool.flags().Add("seconds", &flags.seconds, "N", "for how long");
  if (absl::Status parsed = tool.Parse(arguments); !parsed.ok()) return parsed;
  const absl::StatusOr<std::unique_ptr<Bus>> bus = tool.ConnectToSendAtOnce();
  if (!bus.ok()) return bus.status();
  const absl::StatusOr<JobRecord> job = MakeJob(**bus, flags.job, static_cast<uint32_t>(flags.partitions));
  if (!job.ok()) return job.status();
  Probe probe(**bus, flags);
  if (absl::Status greeted = probe.Greet(); !greeted.ok()) return greeted;
  if (absl::Status ran = probe.Run(); !ran.ok()) return ran;
  Print(probe.Summary());
  return absl::OkStatus();
}

}  // namespace millrace::bench
