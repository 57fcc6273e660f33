// check: is it the right answer? Reads every result of a job that fill fed, and recomputes it from the number
// of the record alone.
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/frame/writer_cursors.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "integration/bench/tool.h"
#include "integration/bench/workload.h"

namespace millrace::bench {
namespace {

// Each output of a key must be that key's next count, with a sum of count times v, and at the end every key
// must have come as often as fill gave it.
class Oracle {
 public:
  explicit Oracle(uint64_t keys) : seen_(keys) {}

  absl::Status Offer(const RecordView& record) {
    const uint64_t key = ParseKey(record.key);
    if (key >= seen_.size()) return Wrong(record, "a key that nobody sent");
    if (record.fields == nullptr || record.fields->size() != 2 || (*record.fields)[0] != "count") {
      return Wrong(record, "not a row of count and sum");
    }
    PackReader reader(record.value);
    PackToken count;
    PackToken sum;
    if (!reader.Next(&count) || !reader.Next(&sum)) return Wrong(record, "not readable");
    const uint64_t expected = ++seen_[key];
    ++outputs_;
    if (count.integer != static_cast<int64_t>(expected))
      return Wrong(record, StrCat("count ", count.integer, ", expected ", expected));
    if (sum.integer != static_cast<int64_t>(expected * key))
      return Wrong(record, StrCat("sum ", sum.integer, ", expected ", expected * key));
    return absl::OkStatus();
  }

  absl::Status Finish(uint64_t records) const {
    if (outputs_ != records) return absl::DataLossError(StrCat(outputs_, " outputs, expected ", records));
    for (uint64_t i = 0; i < seen_.size(); ++i) {
      const uint64_t key = KeyNumber(i, seen_.size());
      const uint64_t expected = records / seen_.size() + (i < records % seen_.size() ? 1 : 0);
      if (seen_[key] != expected)
        return absl::DataLossError(
            StrCat(KeyText(key), " came out ", seen_[key], " times, expected ", expected));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Wrong(const RecordView& record, const std::string& what) {
    return absl::DataLossError(
        StrCat("wrong result for key ", record.key, " at offset ", record.offset.value(), ": ", what));
  }

  std::vector<uint32_t> seen_;  // how often each key came out
  uint64_t outputs_ = 0;
};

// Reads one result stream to the end that it has now, as rule R3 says.
absl::Status CheckStream(Bus& bus, const std::string& stream, const std::string& uid, Oracle& oracle) {
  const absl::StatusOr<StreamInfo> info = bus.GetStream(stream);
  if (!info.ok()) return info.status();
  ReaderOptions options;
  options.stream = stream;
  options.name_hint = "check";
  const ReaderId reader = bus.OpenReader(options);
  WriterCursors cursors(uid);
  FrameView frame;
  std::vector<BusEvent> events;
  uint64_t at = 0;
  while (at < info->last_sequence) {
    events.clear();
    bus.Poll(kPollWait, kEventsAPoll, &events);
    for (const BusEvent& event : events) {
      if (event.type == BusEvent::Type::kReaderError) return event.status;
      if (event.type != BusEvent::Type::kMessage) continue;
      at = event.message.sequence;
      bus.Grant(reader, 1, event.message.payload.size());
      const absl::StatusOr<MessageHeader> header = ParseMessageHeader(event.message.header);
      if (!header.ok() || header->kind != FrameKind::kResults) continue;
      const Mark mark = cursors.Get(header->writer).mark;
      if (cursors.Offer(*header) != WriterCursors::Verdict::kTake) continue;
      if (absl::Status parsed = frame.ParseInto(event.message.payload); !parsed.ok()) return parsed;
      FrameView::Cursor records = frame.records();
      for (RecordView record; records.Next(&record);) {
        if (Mark{record.offset.value(), record.index} < mark) continue;
        if (absl::Status right = oracle.Offer(record); !right.ok()) return right;
      }
      if (!records.status().ok()) return records.status();
    }
  }
  bus.CloseReader(reader);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCheck(const std::vector<std::string>& arguments) {
  std::string job = "bench";
  std::string uid;
  int64_t partitions = 16;
  int64_t records = 0;
  int64_t keys = 0;
  ToolFlags tool("check", "Compares every result of a job that fill fed with the answer.");
  tool.flags().Add("job", &job, "NAME", "whose results");
  tool.flags().Add("uid", &uid, "UID", "of the job");
  tool.flags().Add("partitions", &partitions, "N", "of the job");
  tool.flags().Add("records", &records, "N", "as fill was told");
  tool.flags().Add("keys", &keys, "N", "as fill was told");
  if (absl::Status parsed = tool.Parse(arguments); !parsed.ok()) return parsed;
  const absl::StatusOr<std::unique_ptr<Bus>> bus = tool.Connect();
  if (!bus.ok()) return bus.status();
  Oracle oracle(static_cast<uint64_t>(keys));
  for (uint32_t p = 0; p < static_cast<uint32_t>(partitions); ++p) {
    const std::string stream = ResultStream(job, PartitionId(p));
    if (absl::Status checked = CheckStream(**bus, stream, uid, oracle); !checked.ok()) return checked;
  }
  if (absl::Status finished = oracle.Finish(static_cast<uint64_t>(records)); !finished.ok()) return finished;
  Print({{"right", true}});
  return absl::OkStatus();
}

}  // namespace millrace::bench
