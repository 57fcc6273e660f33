#include "coordinator/leader/load_table.h"

#include <algorithm>

namespace millrace {

void LoadTable::Observe(const std::string& uid, size_t partition, uint64_t records_in, absl::Duration now) {
  const auto [it, is_new] = rows_[uid].try_emplace(partition);
  Row& row = it->second;
  // An owner that replays counts from where its state begins: what it makes up for is no load.
  if (is_new || records_in < row.records_in) {
    row.records_in = records_in;
    row.since = now;
    return;
  }
  const absl::Duration passed = now - row.since;
  if (passed < kLoadInterval) return;
  const double newest = static_cast<double>(records_in - row.records_in) / absl::ToDoubleSeconds(passed);
  row.load = row.load < 0 ? newest : (row.load + newest) / 2;
  row.records_in = records_in;
  row.since = now;
}

std::vector<double> LoadTable::Of(const std::string& uid, size_t partitions) const {
  std::vector<double> loads(partitions, -1);
  const auto job = rows_.find(uid);
  if (job == rows_.end()) return loads;
  for (const auto& [partition, row] : job->second) {
    if (partition < partitions) loads[partition] = row.load;
  }
  return loads;
}

void LoadTable::Keep(const std::vector<std::string>& uids) {
  std::erase_if(rows_, [&](const auto& row) { return std::count(uids.begin(), uids.end(), row.first) == 0; });
}

}  // namespace millrace
