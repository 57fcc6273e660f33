// Who leads: an election by keys made once.
//
// A coordinator beats in `c.<id>`; who makes `term.<n + 1>` leads from then on. It is tried when there is no
// term, or when the newest term's leader was not seen to beat for a lease, by this process's own clock. Two
// that try at once make one term, since a key is made once; and whatever a leader of an older term still
// writes counts for nothing, because readers take the greatest (term, number). Nothing rests on two leaders
// never overlapping; the lease only keeps the overlap short.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/cluster_view.h"

namespace millrace {

// Not thread-safe. Calls block on the bus, each at most for its control deadline.
class Leadership {
 public:
  struct Options {
    CoordinatorLease self;  // id (random for each process), host, pid, http
    absl::Duration lease_ttl = absl::Seconds(15);
    uint64_t seed = 0;  // for the order in which several stand for election
  };
  Leadership(Options options, Bus& bus, Clock& clock);

  // Beats, watches the leader, stands for election when there is none.
  void Step(const Entries& workers, const Entries& assignments);
  // Nobody was observed for a while: the leader's silence counts from now.
  void Excuse();
  // Lets go at a clean end: the others need not wait for the lease.
  void Resign();

  // True while this process leads the newest term it knows of and has renewed within the lease.
  bool Leads() const;
  // True while somebody does, as far as can be seen from here.
  bool KnowsLeader() const;
  uint64_t term() const { return newest_.term; }
  // In force for everybody: the newest term's, else this process's own.
  absl::Duration lease_ttl() const;

 private:
  void LookAtTerms(const Entries& assignments);
  void WatchLeader(const Entries& workers);
  void Beat();
  bool MayStand() const;
  void Stand();

  const Options options_;
  Bus& bus_;
  Clock& clock_;
  std::mt19937_64 random_;

  Term newest_;  // term 0: none is known
  CoordinatorLease lease_;
  std::optional<absl::Duration> beat_tried_at_;
  std::optional<absl::Duration> renewed_at_;  // when the last beat that was stored set out
  bool beat_at_once_ = true;

  uint64_t leader_revision_ = 0;  // of the leader's lease; 0: not seen yet
  bool leader_resigned_ = false;
  absl::Duration leader_changed_at_;
  absl::Duration stand_not_before_;
};

}  // namespace millrace
