#include "coordinator/leader/assignment_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/cluster/in_force.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/names.h"

namespace millrace {
namespace {

constexpr size_t kKeptAssignments = 8;
constexpr size_t kMostDroppedAtOnce = 8;

using KeyedEntry = std::pair<NumberedKey, const KeyValue*>;

std::vector<KeyedEntry> AssignmentsIn(const Entries& entries) {
  std::vector<KeyedEntry> found;
  for (auto it = entries.lower_bound(kAssignmentPrefix);
       it != entries.end() && absl::StartsWith(it->first, kAssignmentPrefix); ++it) {
    const auto key = ParseNumberedKey(it->first, kAssignmentPrefix, 2);
    if (key.has_value() && !it->second.deleted) found.emplace_back(*key, &it->second);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return found;
}

}  // namespace

void AssignmentLog::Observe(const Entries& assignments) {
  auto newest = AssignmentInForce(assignments);
  const auto rank = [](const Assignment& a) { return std::pair(a.term, a.number); };
  if (!newest.has_value() || rank(newest->document) <= rank(in_force_)) return;
  if (!newest->trouble.ok()) {
    LogError("an assignment cannot be read; the partitions are dealt out anew", {{"error", newest->trouble}});
  }
  in_force_ = std::move(newest->document);
}

absl::Status AssignmentLog::Write(uint64_t term, std::vector<JobAssignment> jobs,
                                  std::vector<std::string> draining) {
  Assignment next{term, in_force_.term == term ? in_force_.number + 1 : 1, std::move(jobs),
                  std::move(draining)};
  MILLRACE_FAILPOINT("leader_before_assign");
  const auto made = bus_.CreateKey(
      kAssignmentsBucket, absl::StrCat(kAssignmentPrefix, next.term, ".", next.number), Encode(next));
  if (!made.ok()) return made.status();
  in_force_ = std::move(next);
  return absl::OkStatus();
}

std::vector<Assignment> AssignmentLog::Kept(const Entries& assignments) {
  std::vector<Assignment> kept;
  for (const auto& [key, entry] : AssignmentsIn(assignments)) {
    if (auto assignment = DecodeAssignment(entry->value); assignment.ok()) {
      kept.push_back(*std::move(assignment));
    }
  }
  return kept;
}

void AssignmentLog::DropOld(const Entries& assignments) {
  const std::vector<KeyedEntry> found = AssignmentsIn(assignments);
  const size_t too_many = found.size() > kKeptAssignments ? found.size() - kKeptAssignments : 0;
  for (size_t i = 0; i < std::min(too_many, kMostDroppedAtOnce); ++i) {
    const absl::Status dropped = bus_.DeleteKey(kAssignmentsBucket, found[i].second->key);
    if (!dropped.ok()) LogDebug("an old assignment stays for now", {{"error", ToStd(dropped.message())}});
  }
}

Owners OwnersOf(const std::vector<JobAssignment>& jobs) {
  Owners owners;
  for (const JobAssignment& job : jobs) owners[job.uid] = job.owners;
  return owners;
}

Owners StandbysOf(const std::vector<JobAssignment>& jobs) {
  Owners standbys;
  for (const JobAssignment& job : jobs) standbys[job.uid] = job.standbys;
  return standbys;
}

bool SameJobs(const std::vector<JobAssignment>& a, const std::vector<JobAssignment>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.uid == y.uid && x.job == y.job && x.paused == y.paused && x.owners == y.owners &&
           x.standbys == y.standbys && x.next_owners == y.next_owners;
  });
}

}  // namespace millrace
