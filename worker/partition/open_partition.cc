#include "worker/partition/open_partition.h"

#include <algorithm>
#include <utility>

#include "common/cluster/log_begin.h"
#include "common/failpoint.h"
#include "common/frame/code_mark.h"
#include "common/frame/verdict.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "worker/partition/downstream_opening.h"
#include "worker/partition/state_source.h"

namespace millrace {
namespace {

class Opening {
 public:
  Opening(Bus& bus, Clock& clock, DataDir& data_dir, std::shared_ptr<DbResources> resources,
          const OpenRequest& request)
      : bus_(bus),
        clock_(clock),
        request_(request),
        key_(request.key),
        source_(
            request.key, clock, data_dir, std::move(resources),
            {request.state_budget_bytes, request.checkpoints, request.failures, request.restore_seconds}) {}

  absl::StatusOr<std::unique_ptr<OpenedPartition>> Run() {
    opened_ = std::make_unique<OpenedPartition>();
    known_epoch_ = Epoch();
    state_is_ahead_ = false;
    opened_->key = key_;
    opened_->versions = request_.versions;
    opened_->gives_verdicts = RunsUserCode(request_.versions);
    for (const auto& step :
         {&Opening::OpenState, &Opening::FindStreams, &Opening::ChooseState, &Opening::AdoptState,
          &Opening::CheckStreams, &Opening::LoadCode, &Opening::ReadResults, &Opening::ClaimEpoch,
          &Opening::CheckLogLeadsOn, &Opening::MarkOutputs, &Opening::ReadVerdicts}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
      if (state_is_ahead_) return nullptr;
    }
    return std::move(opened_);
  }
  // Behind a Run that answered null; the next Run begins with something else.
  absl::Status ThrowStateAway() {
    opened_.reset();  // closes the database
    return source_.ThrowAway();
  }

 private:
  absl::StatusOr<StreamInfo> FindStream(const std::string& name) {
    absl::StatusOr<StreamInfo> info = bus_.GetStream(name);
    if (info.ok() && info->config.description != StreamDescription(key_.uid)) {
      return absl::DataLossError(StrCat("stream ", name, " is described as \"", info->config.description,
                                        "\": it is not this job's — delete it or rename the job"));
    }
    if (absl::IsNotFound(info.status()) && opened_->store->Restored().has_value()) {
      return absl::DataLossError(
          StrCat("stream ", name, " is gone — delete the job, or restore the broker's data"));
    }
    // Without state there is nothing to lose: whoever submits makes the streams after the job's record.
    if (absl::IsNotFound(info.status())) {
      return absl::UnavailableError(
          StrCat("stream ", name, " is not there yet — the submit may be under way"));
    }
    return info;
  }

  bool is_last() const { return request_.segment().is_last(); }
  bool trims_log() const { return request_.segment().job.retain == Retain::kResults; }

  absl::Status FindStreams() {
    absl::StatusOr<StreamInfo> input = FindStream(key_.input_stream());
    if (!input.ok()) return input.status();
    input_ = *std::move(input);
    opened_->input_created_ns = input_.created_ns;
    if (!is_last()) return absl::OkStatus();  // the owners of the next segment look after its streams
    absl::StatusOr<StreamInfo> results = FindStream(key_.result_stream());
    if (!results.ok()) return results.status();
    opened_->result_created_ns = results->created_ns;
    return absl::OkStatus();
  }

  absl::Status OpenState() {
    absl::StatusOr<std::unique_ptr<StateStore>> local = source_.OpenLocal();
    if (!local.ok()) return local.status();
    opened_->store = *std::move(local);
    return absl::OkStatus();
  }

  absl::Status ChooseState() {
    absl::StatusOr<StateSource::Chosen> chosen =
        source_.Choose(std::move(opened_->store), input_.first_sequence);
    if (!chosen.ok()) return chosen.status();
    opened_->store = std::move(chosen->store);
    opened_->checkpoint_offset = chosen->checkpoint;
    return absl::OkStatus();
  }

  absl::Status AdoptState() {
    MILLRACE_FAILPOINT("in_restore");
    opened_->input_cursors = WriterCursors(key_.uid);
    opened_->result_tail.cursors = WriterCursors(key_.uid);
    opened_->downstream.resize(request_.segment().downstreams);
    const std::optional<CommitRow>& row = opened_->store->Restored();
    if (!row.has_value()) return absl::OkStatus();
    if (absl::Status status = CheckBelongs(*row, key_.uid, key_.segment, key_.partition); !status.ok())
      return status;
    absl::StatusOr<WriterCursors> input = WriterCursors::Decode(row->input_cursors);
    if (!input.ok()) return input.status();
    if (is_last()) {
      absl::StatusOr<WriterCursors> results = WriterCursors::Decode(row->result_cursors);
      if (!results.ok()) return results.status();
      opened_->result_tail = {*std::move(results), row->result_sequence};
    } else {
      absl::StatusOr<DownstreamMarks> marks = DecodeDownstreamMarks(row->downstream_marks);
      if (!marks.ok()) return marks.status();
      if (marks->size() != opened_->downstream.size())
        return absl::DataLossError("the state is that of a job with other partitions behind it");
      opened_->downstream = *std::move(marks);
      known_epoch_ = row->epoch;
    }
    if (const uint64_t version = CodeVersionOf(*input); version >= opened_->versions.size()) {
      return absl::UnavailableError(StrCat("version ", version,
                                           " of the job's code, which the state stands on, is not "
                                           "known here yet"));
    }
    opened_->input_cursors = *std::move(input);
    opened_->offset = row->offset;
    opened_->offset_time_ns = row->offset_time_ns;
    return absl::OkStatus();
  }

  // What the commit stands on must still be there: the same streams, not shorter, and the same message at the
  // offset.
  absl::Status CheckStreams() {
    const std::optional<CommitRow>& row = opened_->store->Restored();
    if (!row.has_value()) return absl::OkStatus();
    const auto rolled_back = [&](std::string_view what) {
      return absl::DataLossError(StrCat(
          key_.input_stream(), " is not what the state stands on: ", what,
          " — it was rolled back or replaced; restore the broker, or delete the job and submit it again"));
    };
    if (row->input_created_ns != opened_->input_created_ns ||
        row->result_created_ns != opened_->result_created_ns) {
      return rolled_back("a stream was made anew");
    }
    if (input_.last_sequence < row->offset.value()) {
      return rolled_back(StrCat("it ends at ", input_.last_sequence, ", the state at ", row->offset.value()));
    }
    if (row->offset.value() == 0) return absl::OkStatus();
    absl::StatusOr<Message> last = bus_.GetMessage(key_.input_stream(), row->offset.value());
    if (!last.ok() && !absl::IsNotFound(last.status())) return last.status();
    if (last.ok() && last->time_ns != row->offset_time_ns) {
      return rolled_back(StrCat("message ", row->offset.value(), " is another one"));
    }
    return absl::OkStatus();
  }

  absl::Status LoadCode() {
    if (!request_.load_code) return absl::OkStatus();
    absl::StatusOr<SegmentVersions> loaded =
        request_.load_code(request_.versions, CodeVersionOf(opened_->input_cursors));
    if (!loaded.ok()) return loaded.status();
    opened_->versions = *std::move(loaded);
    return absl::OkStatus();
  }

  absl::Status ReadResults() {
    if (!is_last()) return absl::OkStatus();
    LogTail& tail = opened_->result_tail;
    absl::StatusOr<LogTail> read =
        ReadLogTail(bus_, clock_, {key_.result_stream(), tail.last_sequence + 1}, std::move(tail.cursors));
    if (!read.ok()) return read.status();
    tail = *std::move(read);
    known_epoch_ = tail.cursors.Get(key_.writer()).epoch;
    return absl::OkStatus();
  }

  absl::Status ClaimEpoch() {
    if (request_.still_wanted && !request_.still_wanted()) {
      return absl::CancelledError("the partition was given to another worker meanwhile");
    }
    Epoch epoch = known_epoch_.Next();
    if (MILLRACE_DEFECT("epoch_not_raised") && epoch.value() > 1) {
      opened_->epoch = Epoch(epoch.value() - 1);
      return absl::OkStatus();
    }
    for (int tries = 0; tries < kMaxEpochTries; ++tries, epoch = epoch.Next()) {
      absl::StatusOr<uint64_t> made = bus_.CreateKey(kEpochsBucket, EpochKey(key_.uid, key_.writer(), epoch),
                                                     StrCat(request_.claimer, "/", tries));
      if (absl::IsAlreadyExists(made.status())) continue;
      if (!made.ok()) return made.status();
      opened_->epoch = epoch;
      MILLRACE_FAILPOINT("after_claim");
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError(
        StrCat("no free epoch among ", kMaxEpochTries, " for ", key_.ToString()));
  }

  // Until the claim another owner may have trimmed the log: beyond the state that was chosen before.
  absl::Status CheckLogLeadsOn() {
    if (!trims_log()) return absl::OkStatus();
    const absl::StatusOr<StreamInfo> input = bus_.GetStream(key_.input_stream());
    if (!input.ok()) return input.status();
    if (input->first_sequence <= opened_->offset.value() + 1) return absl::OkStatus();
    return absl::UnavailableError(StrCat(key_.input_stream(), " was trimmed to ", input->first_sequence,
                                         " while the partition was opened: it is opened again"));
  }

  // Rule R4: the mark says at which result this epoch begins; what older owners add behind it counts for
  // nothing.
  absl::Status MarkStream(const std::string& stream, const std::string& subject, LogTail& tail,
                          const OnTaken& taken = {}) {
    FrameBuilder mark(FrameKind::kEpoch);
    const std::string payload(mark.Finish());
    for (int tries = 0; tries < kMaxMarkTries; ++tries) {
      const WriterCursors::Cursor cursor = tail.cursors.Get(key_.writer());
      if (cursor.epoch == opened_->epoch && tries > 0)
        return absl::OkStatus();  // an append whose ack was lost
      if (cursor.epoch > opened_->epoch) {
        return absl::FailedPreconditionError(
            StrCat(key_.ToString(), " has a later owner, of epoch ", cursor.epoch.value()));
      }
      const std::string header =
          FormatMessageHeader({FrameKind::kEpoch, key_.uid, key_.writer(), opened_->epoch, cursor.mark,
                               cursor.mark, cursor.records});
      AppendRequest request;
      request.subject = subject;
      request.header = header;
      request.payload = payload;
      request.expected_last_sequence = tail.last_sequence;
      static_cast<void>(bus_.AppendAndWait(request));  // what came of it is read back below, whatever it was
      absl::StatusOr<LogTail> read =
          ReadLogTail(bus_, clock_, {stream, tail.last_sequence + 1, !taken}, std::move(tail.cursors), taken);
      if (!read.ok()) return read.status();
      tail = *std::move(read);
      if (MILLRACE_DEFECT("epoch_not_raised")) return absl::OkStatus();
    }
    if (tail.cursors.Get(key_.writer()).epoch == opened_->epoch) return absl::OkStatus();
    return absl::UnavailableError(StrCat("the epoch mark was refused ", kMaxMarkTries, " times on ", stream));
  }

  absl::Status MarkOutputs() {
    absl::Status marked;
    if (is_last()) {
      marked = MarkStream(key_.result_stream(), key_.result_subject(), opened_->result_tail);
      opened_->low_mark = opened_->result_tail.cursors.Get(key_.writer()).mark;
    } else {
      marked = MarkNextSegment();
    }
    if (!marked.ok()) return marked;
    MILLRACE_FAILPOINT("after_epoch_mark");
    return absl::OkStatus();
  }

  absl::Status MarkNextSegment() {
    const DownstreamOwner owner = {key_, opened_->epoch, known_epoch_};
    const DownstreamMarks committed = opened_->downstream;
    DownstreamMarks& marks = opened_->downstream;
    if (absl::Status marked = MarkDownstreams(bus_, clock_, owner, &marks); !marked.ok()) return marked;
    const bool is_heir = owner.epoch == known_epoch_.Next();
    // What an heir's readers have beyond the commit is sent again and dropped by them: it only matters where
    // a decision has left with it.
    if (is_heir && (known_epoch_ == Epoch(0) || !opened_->gives_verdicts)) return absl::OkStatus();
    const absl::StatusOr<DownstreamMarks> found = ScanNextSegment(owner, committed);
    if (!found.ok()) return found.status();
    for (size_t d = 0; d < marks.size(); ++d) {
      if ((*found)[d].mark < committed[d].mark && !is_heir) state_is_ahead_ = true;
      marks[d].mark = std::max(marks[d].mark, (*found)[d].mark);
      marks[d].since = marks[d].confirmed = marks[d].mark;
      marks[d].records = (*found)[d].records;
      opened_->low_mark = std::max(opened_->low_mark, marks[d].mark);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<DownstreamMarks> ScanNextSegment(const DownstreamOwner& owner,
                                                  const DownstreamMarks& committed) {
    LogBegins logs;
    if (trims_log()) {
      absl::StatusOr<LogBegins> read =
          ReadLogBegins(bus_, key_.uid, SegmentId(key_.segment.value() + 1), request_.segment().downstreams);
      if (!read.ok()) return read.status();
      logs = *std::move(read);
    }
    absl::StatusOr<DownstreamMarks> found = ScanDownstreams(bus_, clock_, owner, committed, logs);
    // Its owner may have trimmed such a log behind the note that was read.
    if (!trims_log() || !absl::IsDataLoss(found.status())) return found;
    const absl::StatusOr<LogBegins> again =
        ReadLogBegins(bus_, key_.uid, SegmentId(key_.segment.value() + 1), request_.segment().downstreams);
    if (!again.ok()) return again.status();
    return HaveMoved(logs, *again) ? absl::UnavailableError("the next segment's logs were trimmed meanwhile")
                                   : found;
  }
  static bool HaveMoved(const LogBegins& before, const LogBegins& after) {
    for (size_t d = 0; d < after.size(); ++d) {
      const Offset was = before[d].has_value() ? before[d]->offset : Offset();
      if (after[d].has_value() && after[d]->offset > was) return true;
    }
    return false;
  }

  absl::Status ReadVerdicts() {
    if (!opened_->gives_verdicts) return absl::OkStatus();
    bool keeps_answers = true;
    const auto count = [&](const Message& message, const MessageHeader& header) -> absl::Status {
      if (header.kind != FrameKind::kVerdict) return absl::OkStatus();
      absl::StatusOr<std::vector<Verdict>> verdicts = ParseVerdicts(message.payload);
      if (!verdicts.ok()) return verdicts.status();
      for (const Verdict& verdict : *verdicts) {
        CountVerdict(verdict, &opened_->attempts);
        const bool is_answer = verdict.outcome == Verdict::Outcome::kAnswered;
        if (is_answer && keeps_answers && verdict.offset > opened_->offset) opened_->answers.Add(verdict);
      }
      return absl::OkStatus();
    };
    LogTail& tail = opened_->verdict_tail;
    tail.cursors = WriterCursors(key_.uid);
    opened_->answers_kept = {tail, request_.max_answer_bytes};
    for (bool more = true; more;) {
      const uint64_t part = keeps_answers ? AnswerPartBytes(request_.max_answer_bytes) : UINT64_MAX;
      const LogTailRequest rest = {key_.verdict_stream(), tail.last_sequence + 1, /*headers_only=*/false,
                                   part};
      absl::StatusOr<LogTail> read = ReadLogTail(bus_, clock_, rest, tail.cursors, count);
      if (!read.ok()) return read.status();
      more = read->last_sequence > tail.last_sequence;
      tail = *std::move(read);
      if (keeps_answers) opened_->answers_kept.tail = tail;
      keeps_answers = opened_->answers.bytes() < request_.max_answer_bytes;
    }
    keeps_answers = opened_->answers_kept.tail.last_sequence == tail.last_sequence;
    absl::Status marked = MarkStream(key_.verdict_stream(), key_.verdict_subject(), tail, count);
    if (keeps_answers) opened_->answers_kept.tail = tail;
    return marked;
  }

  Bus& bus_;
  Clock& clock_;
  const OpenRequest& request_;
  const PartitionKey& key_;
  StateSource source_;
  StreamInfo input_;
  Epoch known_epoch_;  // the last that the commit or the result stream tells of
  // The commit counts on outputs that no reader has taken: its owner was not the owner any more.
  bool state_is_ahead_ = false;
  std::unique_ptr<OpenedPartition> opened_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<OpenedPartition>> OpenPartition(Bus& bus, Clock& clock, DataDir& data_dir,
                                                               std::shared_ptr<DbResources> resources,
                                                               const OpenRequest& request) {
  Opening opening(bus, clock, data_dir, std::move(resources), request);
  // At most once for the state on this disk, and once for each checkpoint.
  while (true) {
    absl::StatusOr<std::unique_ptr<OpenedPartition>> opened = opening.Run();
    if (!opened.ok() || *opened != nullptr) return opened;
    LogWarning("the state is ahead of what was taken of it: it is thrown away and made again",
               {{"partition", request.key.ToString()}});
    if (absl::Status thrown = opening.ThrowStateAway(); !thrown.ok()) return thrown;
  }
}

}  // namespace millrace
