#include "worker/partition/downstream_opening.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/append/appender.h"
#include "common/frame/frame.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "worker/partition/log_tail.h"

namespace millrace {
namespace {

constexpr absl::Duration kPollWait = absl::Milliseconds(20);
constexpr size_t kPollEvents = 1024;

SegmentId Next(const PartitionKey& partition) { return SegmentId(partition.segment.value() + 1); }

// Appends in flight of an owner that gave up may still be answered on this connection.
uint64_t CookieBase(const DownstreamOwner& owner) {
  const std::string key = EpochKey(owner.partition.uid, owner.partition.writer(), owner.epoch);
  return uint64_t{Fnv1a32(key)} << kAppendCookieBits;
}

absl::Status WaitUntilConfirmed(Bus& bus, Appender& appender) {
  std::vector<BusEvent> events;
  bus.Flush();
  while (!appender.idle()) {
    events.clear();
    bus.Poll(kPollWait, kPollEvents, &events);
    for (const BusEvent& event : events) {
      if (absl::Status handled = appender.Handle(event); !handled.ok()) return handled;
    }
    if (absl::Status ticked = appender.Tick(); !ticked.ok()) return ticked;
    bus.Flush();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MarkDownstreams(Bus& bus, Clock& clock, const DownstreamOwner& owner, DownstreamMarks* marks) {
  std::vector<std::string> subjects;
  for (uint32_t d = 0; d < marks->size(); ++d) {
    subjects.push_back(InputSubject(owner.partition.job, Next(owner.partition), PartitionId(d)));
  }
  AppenderOptions options;
  options.cookie_base = CookieBase(owner);
  options.patience = kEpochMarkPatience;
  Appender appender(bus, clock, subjects, "", options);
  FrameBuilder frame(FrameKind::kEpoch);
  const std::string payload(frame.Finish());
  for (uint32_t d = 0; d < marks->size(); ++d) {
    const DownstreamMark& mark = (*marks)[d];
    PendingAppend append;
    append.header = FormatMessageHeader({FrameKind::kEpoch, owner.partition.uid, owner.partition.writer(),
                                         owner.epoch, mark.mark, mark.mark, mark.records});
    append.payload = payload;
    appender.Push(d, std::move(append));
  }
  if (absl::Status confirmed = WaitUntilConfirmed(bus, appender); !confirmed.ok()) return confirmed;
  for (uint32_t d = 0; d < marks->size(); ++d) {
    DownstreamMark& mark = (*marks)[d];
    const uint64_t sequence = appender.confirmed_sequence(d);
    if (sequence <= mark.confirmed_sequence) {
      return absl::DataLossError(
          StrCat("the stream of ", subjects[d], " took an epoch mark at ", sequence, ", and the state saw ",
                 mark.confirmed_sequence,
                 " there — it was rolled back or replaced; restore the broker, or delete the job"));
    }
    mark.since_sequence = mark.confirmed_sequence = sequence;
    mark.since = mark.confirmed = mark.mark;
  }
  return absl::OkStatus();
}

absl::StatusOr<DownstreamMarks> ScanDownstreams(Bus& bus, Clock& clock, const DownstreamOwner& owner,
                                                const DownstreamMarks& begin, const LogBegins& logs) {
  const bool is_heir = owner.epoch == owner.known_epoch.Next();
  const std::string writer = owner.partition.writer();
  DownstreamMarks found = begin;
  for (uint32_t d = 0; d < begin.size(); ++d) {
    const DownstreamMark& from = begin[d];
    WriterCursors::Cursor cursor;
    cursor.epoch = owner.known_epoch;
    cursor.mark = is_heir ? from.confirmed : from.since;
    WriterCursors cursors(owner.partition.uid);
    cursors.Restore(writer, cursor);
    uint64_t seen = is_heir ? from.confirmed_sequence : from.since_sequence;
    if (d < logs.size() && logs[d].has_value() && logs[d]->offset.value() > seen) {
      seen = logs[d]->offset.value();
      cursors = logs[d]->cursors;
    }
    const absl::StatusOr<LogTail> tail = ReadLogTail(
        bus, clock, {InputStream(owner.partition.job, Next(owner.partition), PartitionId(d)), seen + 1},
        std::move(cursors));
    if (!tail.ok()) return tail.status();
    const WriterCursors::Cursor end = tail->cursors.Get(writer);
    if (end.epoch > owner.epoch) {
      return absl::FailedPreconditionError(
          StrCat(owner.partition.ToString(), " has a later owner, of epoch ", end.epoch.value()));
    }
    found[d].mark = end.mark;
    found[d].records = std::max(from.records, end.records);
  }
  return found;
}

}  // namespace millrace
