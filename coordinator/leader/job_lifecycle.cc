#include "coordinator/leader/job_lifecycle.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/names.h"

namespace millrace {
namespace {

FinalStatus Final(std::string state, std::string reason, const JobFacts& facts) {
  FinalStatus final;
  final.state = std::move(state);
  final.reason = std::move(reason);
  for (const PartitionReport* report : facts.reports) {
    if (report == nullptr) continue;
    if (report->segment == kFirstSegment.value()) final.records_in += report->records_in;
    if (report->segment == facts.last_segment.value()) final.records_out += report->records_out;
    final.dead_letters += report->dead_letters;
    final.skipped += report->skipped;
    AddCounts(report->inspected, &final.inspected);
    if (facts.reports.size() <= kMaxFinalReports) final.partitions.push_back(*report);
  }
  return final;
}

}  // namespace

JobDecision Next(const JobFacts& facts) {
  JobDecision decision;
  for (const std::string& verb : facts.verbs) {
    if (verb == "pause") decision.paused = true;
    if (verb == "resume") decision.paused = false;
    if (verb == "cancel") {
      decision.final = Final("cancelled", "", facts);
      return decision;
    }
  }
  for (const PartitionReport* report : facts.reports) {
    if (report != nullptr && report->state == "failed") {
      decision.final =
          Final("failed",
                absl::StrCat("partition ",
                             PartitionText(SegmentId(report->segment), PartitionId(report->partition)), ": ",
                             report->reason),
                facts);
      return decision;
    }
  }
  const bool completed = !facts.reports.empty() &&
                         std::all_of(facts.reports.begin(), facts.reports.end(), [](const auto* report) {
                           return report != nullptr && report->state == "completed";
                         });
  if (completed) decision.final = Final("completed", "", facts);
  return decision;
}

}  // namespace millrace
