#include "coordinator/service/service.h"

#include <utility>

#include "coordinator/views/views.h"

namespace millrace {
namespace {
constexpr absl::Duration kWait = absl::Milliseconds(50);
constexpr size_t kMostEventsAtOnce = 1024;
// A snapshot copies the buckets, measuring decodes them; so old they may be.
constexpr absl::Duration kShowEvery = absl::Milliseconds(50);
constexpr absl::Duration kMeasureEvery = absl::Seconds(1);
}  // namespace

Service::Service(Leadership::Options options, Bus& bus, Clock& clock, Board& board, Metrics& metrics)
    : bus_(bus),
      clock_(clock),
      board_(board),
      metrics_(metrics),
      leader_(std::move(options), bus, clock),
      leads_(metrics.MakeGauge("leader", "1 while this coordinator leads")),
      term_(metrics.MakeGauge("term", "the newest term that this coordinator knows")),
      assignments_(metrics.MakeCounter("assignments_total", "assignments written by this coordinator")),
      moves_(metrics.MakeCounter("partition_moves_total", "partitions taken from one worker to another")),
      finals_(metrics.MakeCounter("jobs_ended_total", "jobs whose end this coordinator wrote")) {
  const auto workers = [&](const char* state) {
    return metrics.MakeGauge("workers", "workers by state", {{"state", state}});
  };
  workers_ready_ = workers("ready");
  workers_draining_ = workers("draining");
  workers_stopped_ = workers("stopped");
  workers_lost_ = workers("lost");
}

void Service::Turn() {
  absl::Duration wait = kWait;
  // Until nothing is left: leases that wait unread would look like silence.
  do {
    events_.clear();
    bus_.Poll(wait, kMostEventsAtOnce, &events_);
    for (const BusEvent& event : events_) leader_.HandleEvent(event);
    changed_ |= !events_.empty();
    wait = absl::ZeroDuration();
  } while (events_.size() == kMostEventsAtOnce);
  leader_.Step();
  if (clock_.Monotonic() >= show_at_) Show();
}

void Service::Show() {
  const absl::Duration now = clock_.Monotonic();
  show_at_ = now + kShowEvery;
  if (changed_) {
    auto snapshot = std::make_shared<ClusterSnapshot>();
    snapshot->jobs = leader_.view().jobs().entries();
    snapshot->workers = leader_.view().workers().entries();
    snapshot->assignments = leader_.view().assignments().entries();
    snapshot_ = std::move(snapshot);
    changed_ = false;
  }
  board_.Show({snapshot_, leader_.connected() && leader_.leadership().KnowsLeader(), &bus_});
  if (now < measure_at_) return;
  Measure(*snapshot_);
  measure_at_ = now + kMeasureEvery;
}

void Service::Measure(const ClusterSnapshot& snapshot) {
  leads_.Set(leader_.leadership().Leads() ? 1 : 0);
  term_.Set(static_cast<double>(leader_.leadership().term()));
  const WorkerTable::Counts workers = leader_.CountWorkers();
  workers_ready_.Set(static_cast<double>(workers.ready));
  workers_draining_.Set(static_cast<double>(workers.draining));
  workers_stopped_.Set(static_cast<double>(workers.stopped));
  workers_lost_.Set(static_cast<double>(workers.lost));
  const Leader::Totals& now = leader_.totals();
  assignments_.Add(static_cast<double>(now.assignments - counted_.assignments));
  moves_.Add(static_cast<double>(now.moves - counted_.moves));
  finals_.Add(static_cast<double>(now.finals - counted_.finals));
  counted_ = now;

  std::map<std::string, size_t> jobs = {
      {"running", 0}, {"paused", 0}, {"completed", 0}, {"failed", 0}, {"cancelled", 0}};
  const Cluster cluster = DecodeCluster(snapshot.jobs, snapshot.workers, snapshot.assignments);
  for (const auto& [name, job] : cluster.jobs) ++jobs[JobStateOf(cluster, job).state];
  for (const auto& [state, count] : jobs) {
    if (!jobs_.contains(state))
      jobs_[state] = metrics_.MakeGauge("jobs", "jobs by state", {{"state", state}});
    jobs_[state].Set(static_cast<double>(count));
  }
}

}  // namespace millrace
