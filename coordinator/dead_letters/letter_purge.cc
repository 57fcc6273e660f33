#include "coordinator/dead_letters/letter_purge.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/failpoint.h"
#include "common/names.h"
#include "coordinator/dead_letters/dead_letter_reader.h"

namespace millrace {
namespace {

constexpr SegmentId kMarksSegment(0);
constexpr PartitionId kMarksPartition(0);

absl::Status KeepIds(Bus& bus, const JobRecord& job, const std::vector<std::string>& ids) {
  const std::string subject = DeadLetterSubject(job.name, kMarksSegment, kMarksPartition);
  for (size_t first = 0; first < ids.size(); first += kPurgedIdsAMark) {
    const std::string mark =
        EncodePurgedMark(job.uid, absl::MakeConstSpan(ids).subspan(first, kPurgedIdsAMark));
    AppendRequest request;
    request.subject = subject;
    request.payload = mark;
    if (const auto appended = bus.AppendAndWait(request); !appended.ok()) return appended.status();
    MILLRACE_FAILPOINT("purge_after_mark");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> PurgeDeadLetters(Bus& bus, Clock& clock, const JobRecord& job) {
  std::vector<std::string> ids;
  const auto marks = ReadDeadLetters(bus, clock, job, [&](const LetterJson& letter) {
    ids.push_back(letter["id"].get<std::string>());
    return absl::OkStatus();
  });
  if (!marks.ok()) return marks.status();
  if (ids.empty()) return 0;
  const auto listed = static_cast<uint64_t>(std::count_if(
      ids.begin(), ids.end(), [&](const std::string& id) { return !marks->purged.contains(id); }));
  // The marks of earlier purges go with the rest.
  ids.insert(ids.end(), marks->purged.begin(), marks->purged.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (const absl::Status status = KeepIds(bus, job, ids); !status.ok()) return status;
  if (const absl::Status status = bus.PurgeStream(DeadLetterStream(job.name), marks->as_of); !status.ok()) {
    return status;
  }
  return listed;
}

}  // namespace millrace
