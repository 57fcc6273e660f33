// Decides whether a run was right, from what anybody can see: the streams, and what lies on the disks. It
// reads under its own R3, computes its own sums, and reads on while the run goes on, so that what holds at
// each commit is required at that commit.
//
// Required: every input record in its partition's log once and in order; every result once, in order, right,
// and explained by a record before it; at a commit, every output that it covers acknowledged to any reader
// (R2), and its state that of the log up to its offset (R1); an epoch marked by one owner only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/network.h"
#include "tests/simulation/outside_reader.h"

namespace millrace::sim {

class Oracle {
 public:
  Oracle(Network& network, const Ledger& ledger, std::string job, std::string uid);
  ~Oracle();

  // What was stored since the last time. Failures are kept.
  void ReadOn();
  // A commit that was just written.
  void CheckCommit(const Rows& rows);
  // State and offset as they lie on a disk.
  void CheckState(const Rows& rows);
  // All must be there now.
  void CheckEnd();

  // The first thing that was wrong; empty: nothing.
  const std::string& failure() const { return failure_; }
  uint64_t results() const { return results_read_; }
  uint64_t commits_checked() const { return commits_checked_; }
  uint64_t states_checked() const { return states_checked_; }

 private:
  struct Partition {
    OutsideReader input, results;
    uint64_t input_read = 0, results_read = 0;  // sequences
    std::vector<uint64_t> records;            // offsets, of the log's records; the n-th is the ledger's n-th
    std::map<std::string, Account> accounts;  // behind them
    struct Output {
      uint64_t offset, index;
      std::string key, json;
      auto Label() const { return std::pair(offset, index); }
    };
    std::vector<Output> outputs;  // that must come of them, in order
    size_t outputs_taken = 0;
    std::set<uint64_t> epochs;  // marked in the result stream
    explicit Partition(const std::string& uid) : input(uid), results(uid) {}
  };
  void Fail(std::string_view what);
  void ReadInput(uint32_t p);
  void ReadResults(uint32_t p);
  void TakeInput(uint32_t p, const Message& message);
  void TakeEnd(uint32_t p, const Message& message);
  void TakeResults(uint32_t p, const Message& message);

  Network& network_;
  const Ledger& ledger_;
  const std::string job_, uid_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<Partition> partitions_;
  std::string failure_;
  uint64_t results_read_ = 0, commits_checked_ = 0, states_checked_ = 0;
};

}  // namespace millrace::sim
