// What the oracle requires of commits, of states and of the end.
#include <utility>

#include "common/state/commit_row.h"
#include "common/state/row_key.h"
#include "common/strings.h"
#include "tests/simulation/fixed_db.h"
#include "tests/simulation/oracle.h"
#include "worker/state/state_store.h"

namespace millrace::sim {

void Oracle::CheckCommit(const Rows& rows) {
  const absl::StatusOr<CommitRow> row = DecodeCommitRow(rows.at(std::string(kCommitRowKey)));
  if (!row.ok()) return Fail(ToStd(row.status().message()));
  if (row->uid != uid_) return;
  ReadOn();
  ++commits_checked_;
  const Partition& partition = segments_[row->segment.value()][row->partition.value()];
  for (const Route& route : partition.routes) {
    if (route.taken == route.outputs.size()) continue;
    const Output& next = route.outputs[route.taken];
    if (next.offset > row->offset.value()) continue;
    Fail(StrCat("commit of ", partition.Writer(), " at ", row->offset.value(),
                ": readers have not the output of ", next.offset, ".", next.index));
  }
}

std::map<std::string, Account> Oracle::AccountsAt(const Partition& partition, uint64_t offset) const {
  std::map<std::string, Account> accounts;
  for (const Record& record : partition.records) {
    if (record.offset > offset) break;
    Account& account = accounts[record.key];
    account.Take(record.number);
    account.group = record.group;
  }
  return accounts;
}

void Oracle::CheckState(const Rows& rows) {
  if (rows.empty()) return;
  const auto commit_row = rows.find(kCommitRowKey);
  if (commit_row == rows.end()) return Fail("state without a commit row on a disk");
  const absl::StatusOr<CommitRow> row = DecodeCommitRow(commit_row->second);
  if (!row.ok()) return Fail(ToStd(row.status().message()));
  if (row->uid != uid_) return;
  ReadOn();
  ++states_checked_;
  const uint32_t segment = row->segment.value();
  const Partition& partition = segments_[segment][row->partition.value()];
  const std::map<std::string, Account> accounts = AccountsAt(partition, row->offset.value());
  const std::string where = StrCat("state of ", partition.Writer(), " at ", row->offset.value());
  absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(std::make_unique<FixedDb>(rows), {});
  if (!store.ok()) return Fail(ToStd(store.status().message()));
  size_t keys = 0;
  const auto check = [&](std::string_view key, const std::string& json) {
    ++keys;
    const auto account = accounts.find(std::string(key));
    const std::string expected =
        account == accounts.end() ? "nothing" : account->second.StateJson(ledger_.options().handler);
    if (json != expected)
      Fail(StrCat(where, ": ", Short(std::string(key)), " ", json, " instead of ", expected));
    return true;
  };
  const absl::Status scanned = pipelines_[segment]->ScanStateJson(**store, {}, check);
  if (!scanned.ok()) return Fail(ToStd(scanned.message()));
  if (keys != accounts.size()) Fail(StrCat(where, " has ", keys, " keys instead of ", accounts.size()));
}

void Oracle::CheckEnd() {
  ReadOn();
  for (const Partition& partition : segments_[0]) {
    const size_t expected = ledger_.by_partition()[partition.number].size();
    if (partition.records.size() != expected) {
      Fail(StrCat("input ", partition.number, " has ", partition.records.size(), " of ", expected,
                  " records"));
    }
  }
  for (const std::vector<Partition>& segment : segments_) {
    for (const Partition& partition : segment) {
      const std::string name = partition.Writer();
      for (const std::string& writer : partition.writers)
        Fail(StrCat("the log of ", name, " has no end mark of ", writer));
      for (const Route& route : partition.routes) {
        if (route.taken == route.outputs.size()) continue;
        Fail(StrCat("of ", name, " ", route.taken, " of ", route.outputs.size(), " outputs are there"));
      }
      if (is_last(partition) && !partition.results.ended(name))
        Fail(StrCat("results ", partition.number, " have no end mark"));
    }
  }
}

}  // namespace millrace::sim
