#include "tests/simulation/oracle.h"

#include <algorithm>
#include <utility>

#include "common/frame/frame.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/value.h"
#include "worker/state/commit_row.h"
#include "worker/state/row_key.h"
#include "worker/state/state_store.h"

namespace millrace::sim {
namespace {

// Rows as a database that nobody writes to, for the project's own reader of state.
class FixedDb : public PartitionDb {
 public:
  explicit FixedDb(const Rows& rows) : rows_(rows) {}
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    const auto it = rows_.find(key);
    return it == rows_.end() ? std::nullopt : std::optional(it->second);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      absl::Span<const std::string> keys) override {
    std::vector<std::optional<std::string>> values;
    for (const std::string& key : keys) values.push_back(*Get(key));
    return values;
  }
  std::unique_ptr<Cursor> Seek(std::string_view from) override {
    return std::make_unique<FixedCursor>(rows_.lower_bound(from), rows_.end());
  }
  absl::Status CommitRows(absl::Span<const DbRow>, std::string_view) override {
    return absl::FailedPreconditionError("read only");
  }
  absl::Status LinkCheckpoint(const std::string&) override {
    return absl::FailedPreconditionError("read only");
  }
  absl::Status VerifyChecksums() override { return absl::OkStatus(); }
  const std::string& dir() const override { return dir_; }

 private:
  class FixedCursor : public Cursor {
   public:
    FixedCursor(Rows::const_iterator at, Rows::const_iterator end) : at_(at), end_(end) {}
    bool Valid() const override { return at_ != end_; }
    void Next() override { ++at_; }
    std::string_view key() const override { return at_->first; }
    std::string_view value() const override { return at_->second; }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    Rows::const_iterator at_, end_;
  };
  const Rows& rows_;
  const std::string dir_ = "a disk";
};

std::string JsonOf(const RecordView& record) {
  std::string json;
  static_cast<void>(AppendJson(ValueView::Of(record), &json));
  return json;
}

std::string Short(const std::string& text) { return text.size() <= 80 ? text : text.substr(0, 80) + "..."; }

}  // namespace

Oracle::Oracle(Network& network, const Ledger& ledger, std::string job, std::string uid)
    : network_(network), ledger_(ledger), job_(std::move(job)), uid_(std::move(uid)) {
  absl::StatusOr<JobSpec> spec = ParseJob(job_, ledger.JobText(job_));
  if (!spec.ok()) Fail(ToStd(spec.status().message()));
  absl::StatusOr<std::unique_ptr<Pipeline>> pipeline =
      Pipeline::Create(spec.ok() ? *spec : JobSpec(), PipelineOptions());
  if (!pipeline.ok()) Fail(ToStd(pipeline.status().message()));
  if (pipeline.ok()) pipeline_ = *std::move(pipeline);
  for (uint32_t p = 0; p < ledger.options().partitions; ++p) partitions_.emplace_back(uid_);
}

Oracle::~Oracle() = default;

void Oracle::Fail(std::string_view what) {
  if (failure_.empty()) failure_ = std::string(what);
}

void Oracle::ReadOn() {
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    ReadInput(p);
    ReadResults(p);
  }
}

void Oracle::ReadInput(uint32_t p) {
  Partition& partition = partitions_[p];
  const std::string stream = InputStream(job_, SegmentId(0), PartitionId(p));
  while (true) {
    const absl::StatusOr<Message> message = network_.direct().GetMessage(stream, partition.input_read + 1);
    if (!message.ok()) return;
    ++partition.input_read;
    const std::optional<OutsideHeader> header = ReadOutsideHeader(message->header);
    if (!header.has_value() || !partition.input.Takes(*header)) continue;
    if (header->kind == 'd') TakeInput(p, *message);
    if (header->kind == 'z') TakeEnd(p, *message);
  }
}

void Oracle::TakeInput(uint32_t p, const Message& message) {
  Partition& partition = partitions_[p];
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
    partition.records.push_back(message.sequence);
    Account& account = partition.accounts[expected[n].key];
    account.Take(expected[n].seq);
    const Handler handler = ledger_.options().handler;
    if (handler != Handler::kFinal)
      partition.outputs.push_back({message.sequence, index, expected[n].key, account.OutputJson(handler)});
  }
}

void Oracle::TakeEnd(uint32_t p, const Message& message) {
  Partition& partition = partitions_[p];
  if (ledger_.options().handler != Handler::kFinal) return;
  for (const auto& [key, account] : partition.accounts) {
    const uint64_t index = partition.outputs.empty() ? 0 : partition.outputs.back().index + 1;
    partition.outputs.push_back({message.sequence, index, key, account.OutputJson(Handler::kFinal)});
  }
}

void Oracle::ReadResults(uint32_t p) {
  Partition& partition = partitions_[p];
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
    if (taken && header->kind == 'r') TakeResults(p, *message);
  }
}

void Oracle::TakeResults(uint32_t p, const Message& message) {
  Partition& partition = partitions_[p];
  absl::StatusOr<FrameView> frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return Fail(StrCat("results ", p, ": ", ToStd(frame.status().message())));
  FrameView::Cursor records = frame->records();
  RecordView record;
  while (records.Next(&record)) {
    const std::pair label(record.offset.value(), uint64_t{record.index});
    const size_t n = partition.outputs_taken;
    if (n > 0 && label <= partition.outputs[n - 1].Label()) continue;  // a part that was read before
    const std::string where =
        StrCat("results ", p, " at ", message.sequence, ", label ", label.first, ".", label.second);
    if (n >= partition.outputs.size()) return Fail(StrCat(where, ": no record explains it"));
    const Partition::Output& expected = partition.outputs[n];
    if (label != expected.Label()) {
      return Fail(StrCat(where, ": the output of ", expected.offset, ".", expected.index, " is missing"));
    }
    if (std::string json = JsonOf(record); record.key != expected.key || json != expected.json) {
      return Fail(
          StrCat(where, ": ", Short(std::string(record.key)), " ", json, " instead of ", expected.json));
    }
    ++partition.outputs_taken;
    ++results_read_;
  }
}

void Oracle::CheckCommit(const Rows& rows) {
  const absl::StatusOr<CommitRow> row = DecodeCommitRow(rows.at(std::string(kCommitRowKey)));
  if (!row.ok()) return Fail(ToStd(row.status().message()));
  if (row->uid != uid_) return;
  ReadOn();
  ++commits_checked_;
  const Partition& partition = partitions_[row->partition.value()];
  const size_t taken = partition.outputs_taken;
  if (taken < partition.outputs.size() && partition.outputs[taken].offset <= row->offset.value()) {
    Fail(StrCat("commit of ", row->partition.value(), " at ", row->offset.value(),
                ": readers have not the output of ", partition.outputs[taken].offset, ".",
                partition.outputs[taken].index));
  }
}

void Oracle::CheckState(const Rows& rows) {
  if (rows.empty()) return;
  const auto commit_row = rows.find(kCommitRowKey);
  if (commit_row == rows.end()) return Fail("state without a commit row on a disk");
  const absl::StatusOr<CommitRow> row = DecodeCommitRow(commit_row->second);
  if (!row.ok()) return Fail(ToStd(row.status().message()));
  if (row->uid != uid_) return;
  ReadOn();
  ++states_checked_;
  const uint32_t p = row->partition.value();
  const std::vector<uint64_t>& offsets = partitions_[p].records;
  std::map<std::string, Account> accounts;
  for (size_t n = 0; n < offsets.size() && offsets[n] <= row->offset.value(); ++n) {
    const LedgerRecord& record = ledger_.by_partition()[p][n];
    accounts[record.key].Take(record.seq);
  }
  absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(std::make_unique<FixedDb>(rows), {});
  if (!store.ok()) return Fail(ToStd(store.status().message()));
  size_t keys = 0;
  const absl::Status scanned =
      pipeline_->ScanStateJson(**store, {}, [&](std::string_view key, const std::string& json) {
        ++keys;
        const auto account = accounts.find(std::string(key));
        const std::string expected =
            account == accounts.end() ? "nothing" : account->second.StateJson(ledger_.options().handler);
        if (json != expected) {
          Fail(StrCat("state of ", p, " at ", row->offset.value(), ": ", Short(std::string(key)), " ", json,
                      " instead of ", expected));
        }
        return true;
      });
  if (!scanned.ok()) return Fail(ToStd(scanned.message()));
  if (keys != accounts.size()) {
    Fail(StrCat("state of ", p, " at ", row->offset.value(), " has ", keys, " keys instead of ",
                accounts.size()));
  }
}

void Oracle::CheckEnd() {
  ReadOn();
  for (uint32_t p = 0; p < partitions_.size(); ++p) {
    const Partition& partition = partitions_[p];
    const size_t expected = ledger_.by_partition()[p].size();
    if (partition.records.size() != expected) {
      Fail(StrCat("input ", p, " has ", partition.records.size(), " of ", expected, " records"));
    }
    if (partition.outputs_taken != partition.outputs.size()) {
      Fail(StrCat("results ", p, " have ", partition.outputs_taken, " of ", partition.outputs.size(),
                  " outputs"));
    }
    if (!partition.input.ended("in")) Fail(StrCat("input ", p, " has no end mark"));
    if (!partition.results.ended(StrCat("0.", p))) Fail(StrCat("results ", p, " have no end mark"));
  }
}

}  // namespace millrace::sim
