#include "coordinator/dead_letters/letter_retry.h"

#include <algorithm>

#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/dead_letters/letter_record.h"

namespace millrace {
namespace {

const std::string& IdOf(const LetterJson& letter) { return letter["id"].get_ref<const std::string&>(); }

// Of one letter, and no reason to leave the others.
bool IsRefusal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

// Anybody may write to the stream of dead letters, and name in it what is not there.
bool HasPartition(const JobSpec& spec, const LetterPlace& place) {
  const std::vector<uint32_t> partitions = PartitionsBySegment(spec);
  const uint32_t segment = place.segment.value();
  return segment < partitions.size() && place.partition.value() < partitions[segment];
}

}  // namespace

absl::StatusOr<RetryReport> LetterRetry::Run(const std::vector<std::string>& ids) {
  auto letters = ListDeadLetters(bus_, clock_, job_);
  if (!letters.ok()) return letters.status();
  for (const std::string& id : ids) {
    const bool there = std::any_of(letters->begin(), letters->end(),
                                   [&](const LetterJson& letter) { return IdOf(letter) == id; });
    if (there) continue;
    return NoSuchLetter(job_, id);
  }
  RetryReport report;
  for (const LetterJson& letter : *letters) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), IdOf(letter)) == ids.end()) continue;
    if (const absl::Status status = Retry(letter, &report); !status.ok()) return status;
  }
  return report;
}

absl::Status LetterRetry::Retry(const LetterJson& letter, RetryReport* report) {
  const std::string& id = IdOf(letter);
  if (!letter["retried_offset"].is_null()) {
    ++report->retried_before;
    return absl::OkStatus();
  }
  const auto place = ParseLetterId(id);
  const absl::StatusOr<bool> is_new =
      place ? BringBack(id, *place)
            : absl::InvalidArgumentError("it is a line of the input that is no record");
  if (is_new.ok()) {
    ++(*is_new ? report->retried : report->retried_before);
    return absl::OkStatus();
  }
  if (!IsRefusal(is_new.status())) return is_new.status();
  report->refused.push_back(StrCat(id, ": ", ToStd(is_new.status().message())));
  return absl::OkStatus();
}

// False when the log had it already.
absl::StatusOr<bool> LetterRetry::BringBack(const std::string& id, const LetterPlace& place) {
  if (!HasPartition(spec_, place)) return absl::InvalidArgumentError("the job has no such partition");
  const auto log = LogOf(place);
  if (!log.ok()) return log.status();
  auto offset = (*log)->Find(id);
  const bool is_new = !offset;
  if (is_new) {
    const auto frame = FrameOfLetter(bus_, job_, SegmentOf(spec_, place.segment), place);
    if (!frame.ok()) return frame.status();
    const auto appended = (*log)->Append(id, *frame);
    if (!appended.ok()) return appended.status();
    offset = *appended;
  }
  if (const absl::Status status = Mark(id, place, *offset); !status.ok()) return status;
  return is_new;
}

absl::StatusOr<RetryLog*> LetterRetry::LogOf(const LetterPlace& place) {
  std::unique_ptr<RetryLog>& log = logs_[{place.segment, place.partition}];
  if (log == nullptr) {
    auto opened =
        std::make_unique<RetryLog>(bus_, clock_, job_, SegmentOf(spec_, place.segment), place.partition);
    if (const absl::Status status = opened->CatchUp(); !status.ok()) return status;
    log = std::move(opened);
  }
  return log.get();
}

absl::Status LetterRetry::Mark(const std::string& id, const LetterPlace& place, Offset offset) {
  MILLRACE_FAILPOINT("retry_before_mark");
  const std::string subject = DeadLetterSubject(job_.name, place.segment, place.partition);
  const std::string mark = EncodeRetriedMark(job_.uid, id, offset);
  AppendRequest request;
  request.subject = subject;
  request.payload = mark;
  return bus_.AppendAndWait(request).status();
}

}  // namespace millrace
