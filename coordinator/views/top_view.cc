#include "coordinator/views/top_view.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/time/time.h"
#include "common/strings.h"

namespace millrace {
namespace {

std::string InOf(const std::string& uid) { return StrCat(uid, ".in"); }
std::string OutOf(const std::string& uid) { return StrCat(uid, ".out"); }

ViewJson RateJson(const Rates& rates, const std::string& name) {
  const std::optional<double> rate = rates.PerSecond(name);
  return rate.has_value() ? ViewJson(std::round(*rate * 10) / 10) : ViewJson(nullptr);
}

ViewJson JobRow(const ViewJson& listed, const Rates& rates, const ViewJson& status) {
  const std::string uid = listed["uid"];
  ViewJson row = listed;
  row["in_per_second"] = RateJson(rates, InOf(uid));
  row["out_per_second"] = RateJson(rates, OutOf(uid));
  row["owned"] = nullptr;
  row["lag_records"] = nullptr;
  row["oldest_ms"] = nullptr;
  if (status.is_null()) return row;
  uint64_t owned = 0;
  for (const ViewJson& segment : status["segments"]) owned += segment["owned"].get<uint64_t>();
  row["owned"] = owned;
  row["lag_records"] = status["lag_records"];
  row["oldest_ms"] = status["oldest_ms"];
  return row;
}

// The furthest behind first; those that are not behind are none.
ViewJson FurthestBehind(std::vector<ViewJson> rows) {
  std::erase_if(rows, [](const ViewJson& row) { return row["lag_records"] == 0 && row["oldest_ms"] == 0; });
  const auto lag = [](const ViewJson& row) {
    return std::make_pair(row["lag_records"].get<uint64_t>(), row["oldest_ms"].get<int64_t>());
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const ViewJson& a, const ViewJson& b) { return lag(a) > lag(b); });
  rows.resize(std::min(rows.size(), kTopPartitions));
  return ViewJson(std::move(rows));
}

}  // namespace

std::vector<const JobRecord*> JobsToLookAt(const Cluster& cluster) {
  std::vector<const JobRecord*> jobs;
  for (const auto& [name, job] : cluster.jobs) {
    if (cluster.FindFinal(job.uid) == nullptr && jobs.size() < kTopJobs) jobs.push_back(&job);
  }
  return jobs;
}

void NoteRates(const Cluster& cluster, absl::Duration now, Rates* rates) {
  for (const ViewJson& job : JobsView(cluster)) {
    const std::string uid = job["uid"];
    rates->Note(now, InOf(uid), job["records_in"].get<uint64_t>());
    rates->Note(now, OutOf(uid), job["records_out"].get<uint64_t>());
  }
}

ViewJson TopView(const Cluster& cluster, const LogsOfJobs& logs, const Rates& rates, int64_t now_ms) {
  ViewJson view;
  view["at"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(now_ms), absl::UTCTimeZone());
  view["leader"] = cluster.term ? ViewJson(cluster.term->leader) : ViewJson(nullptr);
  view["term"] = cluster.term ? ViewJson(cluster.term->term) : ViewJson(nullptr);
  view["workers"] = WorkersView(cluster);
  view["jobs"] = ViewJson::array();
  std::vector<ViewJson> partitions;
  for (const ViewJson& listed : JobsView(cluster)) {
    const std::string name = listed["job"];
    const auto asked = logs.find(name);
    ViewJson status;
    if (asked != logs.end()) {
      const JobRecord& job = cluster.jobs.at(name);
      status = StatusView(cluster, job, asked->second, now_ms);
      for (ViewJson& row : PartitionsView(cluster, job, asked->second, now_ms)) {
        ViewJson of_job = {{"job", name}};
        of_job.update(row);
        partitions.push_back(std::move(of_job));
      }
    }
    view["jobs"].push_back(JobRow(listed, rates, status));
  }
  view["partitions"] = FurthestBehind(std::move(partitions));
  return view;
}

}  // namespace millrace
