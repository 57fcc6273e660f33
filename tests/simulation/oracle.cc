#include "tests/simulation/oracle.h"

#include <algorithm>
#include <utility>

#include "common/cluster/documents.h"
#include "common/frame/frame.h"
#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace::sim {
namespace {

std::string JsonOf(const RecordView& record) {
  std::string json;
  static_cast<void>(AppendJson(ValueView::Of(record), &json));
  return json;
}

}  // namespace

std::string Short(const std::string& text) { return text.size() <= 80 ? text : text.substr(0, 80) + "..."; }

Oracle::Oracle(Network& network, const Ledger& ledger, std::string job, std::string uid)
    : network_(network), ledger_(ledger), job_(std::move(job)), uid_(std::move(uid)) {
  const absl::StatusOr<JobSpec> spec = ParseJob(job_, ledger.JobText(job_));
  if (!spec.ok()) Fail(ToStd(spec.status().message()));
  for (const SegmentSpec& segment : SegmentsOf(spec.value_or(JobSpec()))) {
    absl::StatusOr<std::unique_ptr<Pipeline>> pipeline = Pipeline::Create(segment.job, PipelineOptions());
    if (!pipeline.ok()) Fail(ToStd(pipeline.status().message()));
    pipelines_.push_back(pipeline.ok() ? *std::move(pipeline) : nullptr);
    AddSegment(segment.id.value());
  }
}

Oracle::~Oracle() = default;

void Oracle::AddSegment(uint32_t segment) {
  const LedgerOptions& options = ledger_.options();
  std::vector<Partition>& partitions = segments_.emplace_back();
  for (uint32_t p = 0; p < options.partitions_of(segment); ++p) {
    Partition& partition = partitions.emplace_back(segment, p, uid_);
    const bool ends_here = segment + 1 == options.segments();
    partition.routes.resize(ends_here ? 1 : options.partitions_of(segment + 1));
    if (segment == 0) partition.writers.insert("in");
    for (uint32_t up = 0; segment > 0 && up < options.partitions_of(segment - 1); ++up)
      partition.writers.insert(segments_[segment - 1][up].Writer());
  }
}

std::string Oracle::Partition::Writer() const { return StrCat(segment, ".", number); }

void Oracle::Fail(std::string_view what) {
  if (failure_.empty()) failure_ = std::string(what);
}

// Segment after segment: what crosses is held against what must come of the segment before.
void Oracle::ReadOn() {
  for (std::vector<Partition>& segment : segments_) {
    for (Partition& partition : segment) ReadInput(partition);
  }
  for (Partition& partition : segments_.back()) ReadResults(partition);
}

void Oracle::ReadInput(Partition& partition) {
  const std::string stream = InputStream(job_, SegmentId(partition.segment), PartitionId(partition.number));
  while (true) {
    const absl::StatusOr<Message> message = network_.direct().GetMessage(stream, partition.input_read + 1);
    if (!message.ok()) return;
    ++partition.input_read;
    const std::optional<OutsideHeader> header = ReadOutsideHeader(message->header);
    if (!header.has_value()) continue;
    const OutsideMark before = partition.input.mark(header->writer);
    if (!partition.input.Takes(*header)) continue;
    if (header->kind == 'c') TakeCode(partition, header->upto.first);
    if (header->kind == 'd') TakeInput(partition, *message);
    if (header->kind == 'r') TakeCrossing(partition, *message, *header, before);
    if (header->kind == 'z') TakeEnd(partition, *message, header->writer);
  }
}

// What the version does, its key alone says.
void Oracle::TakeCode(Partition& partition, uint64_t version) {
  const absl::StatusOr<KeyValue> key =
      network_.direct().GetKey(kJobsBucket, StrCat("code.", uid_, ".", version));
  const absl::StatusOr<CodeVersion> code = DecodeCodeVersion(key.ok() ? key->value : "");
  if (!code.ok()) return Fail(StrCat("a mark of version ", version, " of the code, which nobody made"));
  partition.bonus = Ledger::BonusOf(code->spec_text);
  ++code_marks_;
}

void Oracle::TakeInput(Partition& partition, const Message& message) {
  const uint32_t p = partition.number;
  const std::vector<LedgerRecord>& expected = ledger_.by_partition()[p];
  absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return Fail(StrCat("input ", p, ": ", ToStd(frame.status().message())));
  FrameView::Cursor records = frame->records();
  RecordView record;
  for (uint64_t index = 0; records.Next(&record); ++index) {
    const size_t n = partition.records.size();
    if (n >= expected.size()) return Fail(StrCat("input ", p, ": a record too many at ", message.sequence));
    if (std::string json = JsonOf(record); record.key != expected[n].key || json != expected[n].line) {
      return Fail(StrCat("input ", p, " at ", message.sequence, ".", index, ": ", Short(json),
                         " stands where ", Short(expected[n].line), " belongs"));
    }
    Take(partition,
         {message.sequence, expected[n].key, expected[n].number + partition.bonus, expected[n].group}, index);
  }
}

// A message may begin in front of what was taken: its first records came with an earlier one.
void Oracle::TakeCrossing(Partition& partition, const Message& message, const OutsideHeader& header,
                          OutsideMark before) {
  const std::string log = StrCat("the log of ", partition.Writer(), " at ", message.sequence);
  absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return Fail(StrCat(log, ": ", ToStd(frame.status().message())));
  std::vector<Partition>& upstreams = segments_[partition.segment - 1];
  const auto from = std::find_if(upstreams.begin(), upstreams.end(),
                                 [&](const Partition& up) { return up.Writer() == header.writer; });
  if (from == upstreams.end()) return Fail(StrCat(log, ": writer ", header.writer, " is none"));
  Route& route = from->routes[partition.number];
  FrameView::Cursor records = frame->records();
  RecordView record;
  uint64_t index = 0;
  while (records.Next(&record)) {
    const OutsideMark label(record.offset.value(), record.index);
    if (label < before) continue;
    if (!Matches(route, record, StrCat(log, ", from ", header.writer))) return;
    const Output& output = route.outputs[route.taken++];
    Take(partition, {message.sequence, output.key, output.number}, index++);
  }
}

void Oracle::Take(Partition& partition, const Record& record, uint64_t index) {
  partition.records.push_back(record);
  Account& account = partition.accounts[record.key];
  account.Take(record.number);
  account.group = record.group;
  if (FinalResults(ledger_.options().handler) == 0)
    Expect(partition, record.offset, index, record.key, account);
}

void Oracle::Expect(Partition& partition, uint64_t offset, uint64_t index, const std::string& key,
                    const Account& account) {
  const std::string json = account.OutputJson(ledger_.options().handler);
  if (is_last(partition)) {
    partition.routes[0].outputs.push_back({offset, index, key, json});
    return;
  }
  const auto partitions = static_cast<uint32_t>(partition.routes.size());
  const uint32_t route = PartitionOf(account.group, partitions).value();
  partition.routes[route].outputs.push_back({offset, index, account.group, json, account.sum});
}

void Oracle::TakeEnd(Partition& partition, const Message& message, const std::string& writer) {
  if (partition.writers.erase(writer) == 0 || !partition.writers.empty()) return;
  uint64_t index = 0;
  for (int i = 0; i < FinalResults(ledger_.options().handler); ++i) {
    for (const auto& [key, account] : partition.accounts)
      Expect(partition, message.sequence, index++, key, account);
  }
}

void Oracle::ReadResults(Partition& partition) {
  const uint32_t p = partition.number;
  const std::string stream = ResultStream(job_, PartitionId(p));
  while (true) {
    const absl::StatusOr<Message> message = network_.direct().GetMessage(stream, partition.results_read + 1);
    if (!message.ok()) return;
    ++partition.results_read;
    const std::optional<OutsideHeader> header = ReadOutsideHeader(message->header);
    if (!header.has_value()) {
      Fail(StrCat("results ", p, ": a message without a header at ", message->sequence));
      return;
    }
    const bool taken = partition.results.Takes(*header);
    if (header->uid == uid_ && header->kind == 'e' && !partition.epochs.insert(header->epoch).second) {
      Fail(StrCat("results ", p, ": two owners have epoch ", header->epoch));
    }
    if (taken && header->kind == 'r') TakeResults(partition, *message);
  }
}

void Oracle::TakeResults(Partition& partition, const Message& message) {
  const std::string where = StrCat("results ", partition.number, " at ", message.sequence);
  absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return Fail(StrCat(where, ": ", ToStd(frame.status().message())));
  FrameView::Cursor records = frame->records();
  RecordView record;
  Route& route = partition.routes[0];
  while (records.Next(&record)) {
    const std::pair label(record.offset.value(), uint64_t{record.index});
    if (route.taken > 0 && label <= route.outputs[route.taken - 1].Label()) continue;  // read before
    if (!Matches(route, record, where)) return;
    ++route.taken;
    ++results_read_;
  }
}

// Whether the record is the output that must come next.
bool Oracle::Matches(Route& route, const RecordView& record, const std::string& where) {
  const std::pair label(record.offset.value(), uint64_t{record.index});
  const std::string what = StrCat(where, ", label ", label.first, ".", label.second);
  if (route.taken >= route.outputs.size()) {
    Fail(StrCat(what, ": no record explains it"));
    return false;
  }
  const Output& expected = route.outputs[route.taken];
  if (label != expected.Label()) {
    Fail(StrCat(what, ": the output of ", expected.offset, ".", expected.index, " belongs there"));
    return false;
  }
  const std::string json = JsonOf(record);
  if (record.key == expected.key && json == expected.json) return true;
  Fail(StrCat(what, ": ", Short(std::string(record.key)), " ", Short(json), " instead of ",
              Short(expected.json)));
  return false;
}

}  // namespace millrace::sim
