#include "coordinator/leader/leadership.h"

#include "absl/strings/str_cat.h"
#include "common/cluster/in_force.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/names.h"

namespace millrace {
namespace {
// Beats a lease: two may be lost before anybody takes notice.
constexpr int kBeatsPerLease = 3;
// Who stood in vain tries again after about this part of a lease, at random, so that two do not keep meeting.
constexpr int kStaggerPerLease = 10;
constexpr absl::Duration kMostBetweenTries = absl::Milliseconds(500);
}  // namespace

Leadership::Leadership(Options options, Bus& bus, Clock& clock)
    : options_(std::move(options)), bus_(bus), clock_(clock), random_(options_.seed), lease_(options_.self) {
  leader_changed_at_ = stand_not_before_ = clock_.Monotonic();
}

absl::Duration Leadership::lease_ttl() const {
  return newest_.term == 0 ? options_.lease_ttl : absl::Milliseconds(newest_.lease_ttl_ms);
}

bool Leadership::Leads() const {
  return newest_.leader == options_.self.id && renewed_at_.has_value() &&
         clock_.Monotonic() - *renewed_at_ < lease_ttl();
}

bool Leadership::KnowsLeader() const {
  if (newest_.term == 0) return false;
  if (newest_.leader == options_.self.id) return Leads();
  return !leader_resigned_ && clock_.Monotonic() - leader_changed_at_ < lease_ttl();
}

void Leadership::Excuse() { leader_changed_at_ = clock_.Monotonic(); }

void Leadership::Step(const Entries& workers, const Entries& assignments) {
  LookAtTerms(assignments);
  Beat();
  WatchLeader(workers);
  if (MayStand()) Stand();
}

void Leadership::LookAtTerms(const Entries& assignments) {
  auto newest = NewestTerm(assignments);
  if (!newest.has_value() || newest->document.term <= newest_.term) return;
  Term& term = newest->document;
  if (!newest->trouble.ok()) {
    // It is a term all the same: the number is taken. With an unknown leader it ends after a lease.
    LogError("a term cannot be read", {{"error", newest->trouble}});
    term.lease_ttl_ms = absl::ToInt64Milliseconds(options_.lease_ttl);
  }
  if (newest_.leader == options_.self.id) {
    LogWarning("another coordinator leads; this one follows", {{"term", term.term}, {"leader", term.leader}});
  }
  newest_ = std::move(term);
  beat_at_once_ = newest_.leader == options_.self.id;  // made after all, though the answer was lost
  leader_revision_ = 0;
  leader_resigned_ = false;
  leader_changed_at_ = clock_.Monotonic();
}

void Leadership::Beat() {
  const absl::Duration now = clock_.Monotonic();
  const absl::Duration every = lease_ttl() / kBeatsPerLease;
  const bool due = !renewed_at_.has_value() || now - *renewed_at_ >= every || beat_at_once_;
  const bool tried_just_now =
      beat_tried_at_.has_value() && now - *beat_tried_at_ < std::min(every, kMostBetweenTries);
  if (!due || (tried_just_now && !beat_at_once_)) return;
  beat_at_once_ = false;
  beat_tried_at_ = now;
  ++lease_.beat;
  lease_.term = newest_.leader == options_.self.id ? newest_.term : 0;
  const auto stored = bus_.PutKey(kWorkersBucket, CoordinatorKey(lease_.id), Encode(lease_));
  if (stored.ok()) {
    renewed_at_ = now;
  } else {
    LogWarning("the coordinator's lease could not be renewed", {{"error", ToStd(stored.status().message())}});
  }
}

void Leadership::WatchLeader(const Entries& workers) {
  if (newest_.term == 0 || newest_.leader == options_.self.id) return;
  const KeyValue* lease = FindEntry(workers, CoordinatorKey(newest_.leader));
  if (lease == nullptr) {
    leader_resigned_ = leader_revision_ != 0;  // it was there, and was taken away
  } else if (lease->revision != leader_revision_) {
    leader_revision_ = lease->revision;
    leader_changed_at_ = clock_.Monotonic();
  }
}

bool Leadership::MayStand() const {
  if (!renewed_at_.has_value() || newest_.leader == options_.self.id) return false;
  const absl::Duration now = clock_.Monotonic();
  if (now < stand_not_before_) return false;
  return newest_.term == 0 || leader_resigned_ || now - leader_changed_at_ >= lease_ttl();
}

void Leadership::Stand() {
  Term term;
  term.term = newest_.term + 1;
  term.leader = options_.self.id;
  term.lease_ttl_ms = absl::ToInt64Milliseconds(options_.lease_ttl);
  const auto made = bus_.CreateKey(kAssignmentsBucket, absl::StrCat(kTermPrefix, term.term), Encode(term));
  if (!made.ok()) {
    // Somebody else was first, or the outcome is unknown: the bucket will say. Before another try, a pause.
    const absl::Duration stagger = options_.lease_ttl / kStaggerPerLease;
    stand_not_before_ =
        clock_.Monotonic() + stagger * std::uniform_real_distribution<double>(0.5, 1.5)(random_);
    return;
  }
  MILLRACE_FAILPOINT("leader_after_term");
  newest_ = term;
  beat_at_once_ = true;
  Beat();
  LogInfo("this coordinator leads", {{"term", term.term}, {"id", options_.self.id}});
}

void Leadership::Resign() {
  const absl::Status gone = bus_.DeleteKey(kWorkersBucket, CoordinatorKey(options_.self.id));
  if (!gone.ok()) LogWarning("could not resign; the lease will run out", {{"error", ToStd(gone.message())}});
  renewed_at_.reset();
}

}  // namespace millrace
