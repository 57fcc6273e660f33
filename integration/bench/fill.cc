// fill: makes the benchmark's job and puts its input into the streams, as `coordinator submit` would leave
// them.
#include <algorithm>
#include <string>
#include <vector>

#include "common/append/appender.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
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

constexpr SegmentId kSegment(0);
constexpr Epoch kEpoch(1);

struct FillFlags {
  std::string job = "bench";
  int64_t partitions = 16;
  int64_t records = 0;
  int64_t keys = 10'000;
  int64_t frame = 128;
  bool plain = false;
  bool open = false;
  bool two_segments = false;
};

// Writer "in" of a job, and strangers beside it.
class Filler {
 public:
  Filler(Bus& bus, const JobRecord& job)
      : bus_(bus),
        job_(job),
        appender_(bus, SystemClock(), Subjects(job), DeadLetterSubject(job.name, kSegment, PartitionId(0)),
                  {}),
        feeds_(job.partitions) {}

  absl::Status MarkAll(FrameKind kind) {
    for (uint32_t p = 0; p < feeds_.size(); ++p) {
      if (absl::Status closed = Close(p); !closed.ok()) return closed;
      FrameBuilder mark(kind);
      if (absl::Status pushed = Push(p, kind, mark.Finish()); !pushed.ok()) return pushed;
    }
    return absl::OkStatus();
  }

  absl::Status AddFramed(uint64_t number, uint64_t keys, uint32_t max_frame_records) {
    const uint64_t key_number = KeyNumber(number, keys);
    const std::string key = KeyText(key_number);
    const uint32_t p = PartitionOf(key, job_.partitions).value();
    Feed& feed = feeds_[p];
    PackRow(key_number, &value_);
    RecordView record;
    record.key = key;
    record.value = value_;
    record.shape = feed.builder.InternShape(kRowFields);
    feed.builder.Add(record);
    ++feed.records;
    position_ = number + 1;
    return feed.builder.record_count() < max_frame_records ? absl::OkStatus() : Close(p);
  }

  absl::Status AddPlain(uint64_t number, uint64_t keys) {
    const uint64_t key_number = KeyNumber(number, keys);
    PendingAppend append;
    append.payload = JsonLine(key_number);
    return Hand(PartitionOf(KeyText(key_number), job_.partitions).value(), std::move(append));
  }

  // Until everything is acknowledged.
  absl::Status Settle() {
    while (!appender_.idle()) {
      if (absl::Status turned = Turn(kPollWait); !turned.ok()) return turned;
    }
    return absl::OkStatus();
  }

 private:
  struct Feed {
    FrameBuilder builder;
    Mark mark;
    uint64_t records = 0;
  };

  static std::vector<std::string> Subjects(const JobRecord& job) {
    std::vector<std::string> subjects;
    for (uint32_t p = 0; p < job.partitions; ++p)
      subjects.push_back(InputSubject(job.name, kSegment, PartitionId(p)));
    return subjects;
  }

  absl::Status Close(uint32_t p) {
    FrameBuilder& builder = feeds_[p].builder;
    if (builder.empty()) return absl::OkStatus();
    const absl::Status pushed = Push(p, FrameKind::kData, builder.Finish());
    builder.Reset(FrameKind::kData);
    return pushed;
  }

  absl::Status Push(uint32_t p, FrameKind kind, std::string_view payload) {
    Feed& feed = feeds_[p];
    const Mark upto = kind == FrameKind::kData ? Mark{position_, 0} : feed.mark;
    PendingAppend append;
    append.header =
        FormatMessageHeader({kind, job_.uid, kIngestWriter, kEpoch, feed.mark, upto, feed.records});
    append.payload.assign(payload);
    feed.mark = upto;
    return Hand(p, std::move(append));
  }

  absl::Status Hand(uint32_t p, PendingAppend append) {
    while (!appender_.HasRoom(p)) {
      if (absl::Status turned = Turn(kPollWait); !turned.ok()) return turned;
    }
    appender_.Push(p, std::move(append));
    if (++pushed_ % kAppendsATurn == 0) return Turn(absl::ZeroDuration());
    return absl::OkStatus();
  }

  absl::Status Turn(absl::Duration wait) {
    events_.clear();
    bus_.Poll(wait, kEventsAPoll, &events_);
    for (const BusEvent& event : events_) {
      if (absl::Status handled = appender_.Handle(event); !handled.ok()) return handled;
    }
    return appender_.Tick();
  }

  static constexpr uint64_t kAppendsATurn = 256;

  Bus& bus_;
  const JobRecord job_;
  Appender appender_;
  std::vector<Feed> feeds_;
  std::vector<BusEvent> events_;
  std::string value_;
  uint64_t position_ = 0;
  uint64_t pushed_ = 0;
};

absl::Status ClaimEpoch(Bus& bus, const JobRecord& job) {
  return bus.CreateKey(kEpochsBucket, EpochKey(job.uid, kIngestWriter, kEpoch), "bench").status();
}

absl::Status Fill(Bus& bus, const JobRecord& job, const FillFlags& flags) {
  Filler filler(bus, job);
  const bool as_ingest = !flags.plain || !flags.open;
  absl::Status status;
  if (as_ingest) {
    status = ClaimEpoch(bus, job);
    if (status.ok()) status = filler.MarkAll(FrameKind::kEpoch);
  }
  for (int64_t i = 0; i < flags.records && status.ok(); ++i) {
    const auto number = static_cast<uint64_t>(i);
    const auto keys = static_cast<uint64_t>(flags.keys);
    status = flags.plain ? filler.AddPlain(number, keys)
                         : filler.AddFramed(number, keys, static_cast<uint32_t>(flags.frame));
  }
  // Without end marks, what is left over in frames leaves all the same: with the marks of an epoch that
  // stands.
  if (status.ok() && as_ingest) status = filler.MarkAll(flags.open ? FrameKind::kEpoch : FrameKind::kEnd);
  if (status.ok()) status = filler.Settle();
  if (!status.ok() || flags.open) return status;
  const InputFed fed = {static_cast<uint64_t>(flags.records), 0, kEpoch.value()};
  return bus.CreateKey(kAssignmentsBucket, FedKey(job.uid), Encode(fed)).status();
}

}  // namespace

absl::Status RunFill(const std::vector<std::string>& arguments) {
  FillFlags flags;
  ToolFlags tool("fill", "Makes a running-total job and fills its input streams.");
  tool.flags().Add("job", &flags.job, "NAME", "the job; made if it is not there");
  tool.flags().Add("partitions", &flags.partitions, "N", "of the job");
  tool.flags().Add("records", &flags.records, "N", "how many to put in");
  tool.flags().Add("keys", &flags.keys, "N", "how many different ones, all equally often");
  tool.flags().Add("frame", &flags.frame, "N", "records in a frame");
  tool.flags().AddSwitch("plain", &flags.plain,
                         "JSON messages of one record, as any NATS client publishes them");
  tool.flags().AddSwitch("two-segments", &flags.two_segments, "the job changes the key on its way");
  tool.flags().AddSwitch("open", &flags.open, "no end marks: more may come");
  if (absl::Status parsed = tool.Parse(arguments); !parsed.ok()) return parsed;
  if (flags.keys < 1 || flags.keys > static_cast<int64_t>(kMaxKeys) || flags.frame < 1 ||
      flags.partitions < 1) {
    return absl::InvalidArgumentError(
        "--keys, --frame and --partitions are 1 or more, keys at most 10 million");
  }
  const absl::StatusOr<std::unique_ptr<Bus>> bus = tool.Connect();
  if (!bus.ok()) return bus.status();
  const absl::StatusOr<JobRecord> job = MakeJob(**bus, flags.job, static_cast<uint32_t>(flags.partitions),
                                                flags.two_segments ? Segments::kTwo : Segments::kOne);
  if (!job.ok()) return job.status();
  const absl::Duration began = SystemClock().Monotonic();
  if (absl::Status filled = Fill(**bus, *job, flags); !filled.ok()) return filled;
  Print({{"uid", job->uid},
         {"records", flags.records},
         {"seconds", absl::ToDoubleSeconds(SystemClock().Monotonic() - began)}});
  return absl::OkStatus();
}

}  // namespace millrace::bench
