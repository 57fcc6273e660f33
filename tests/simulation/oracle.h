// Decides whether a run was right, from what anybody can see: the streams, and what lies on the disks. It
// reads under its own R3, computes its own sums, and reads on while the run goes on, so that what holds at
// each commit is required at that commit.
//
// Required: every input record in its partition's log once and in order; every output, in the log of the next
// segment or the result stream, once, in order, right, and explained by a record before it; at a commit, every
// output that it covers there for any reader (R2), and its state that of the log up to its offset (R1); an
// epoch marked by one owner only.
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

// As much of a text as a message needs.
std::string Short(const std::string& text);

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
  uint64_t code_marks() const { return code_marks_; }  // that were taken

 private:
  struct Output {
    uint64_t offset = 0, index = 0;  // its label, with the partition's
    std::string key, json;
    int64_t number = 0;  // what the next segment sums up
    auto Label() const { return std::pair(offset, index); }
  };
  // Where outputs go: a partition of the next segment, or the result stream.
  struct Route {
    std::vector<Output> outputs;  // that must come, in order
    size_t taken = 0;
  };
  struct Record {
    uint64_t offset = 0;
    std::string key;
    int64_t number = 0;
    std::string group = {};
  };
  struct Partition {
    uint32_t segment = 0, number = 0;
    OutsideReader input, results;
    uint64_t input_read = 0, results_read = 0;  // sequences
    std::vector<Record> records;                // of its log
    std::map<std::string, Account> accounts;    // behind them
    std::set<std::string> writers;              // that have not ended
    std::vector<Route> routes;
    std::set<uint64_t> epochs;  // marked in the result stream
    int64_t bonus = 0;          // of the code in force
    Partition(uint32_t s, uint32_t n, const std::string& uid)
        : segment(s), number(n), input(uid), results(uid) {}
    std::string Writer() const;
  };
  void AddSegment(uint32_t segment);
  void Fail(std::string_view what);
  bool is_last(const Partition& partition) const { return partition.segment + 1 == segments_.size(); }
  void ReadInput(Partition& partition);
  void ReadResults(Partition& partition);
  void TakeCode(Partition& partition, uint64_t version);
  void TakeInput(Partition& partition, const Message& message);
  void TakeCrossing(Partition& partition, const Message& message, const OutsideHeader& header,
                    OutsideMark before);
  void TakeEnd(Partition& partition, const Message& message, const std::string& writer);
  void TakeResults(Partition& partition, const Message& message);
  void Take(Partition& partition, const Record& record, uint64_t index);
  void Expect(Partition& partition, uint64_t offset, uint64_t index, const std::string& key,
              const Account& account);
  bool Matches(Route& route, const RecordView& record, const std::string& where);
  std::map<std::string, Account> AccountsAt(const Partition& partition, uint64_t offset) const;

  Network& network_;
  const Ledger& ledger_;
  const std::string job_, uid_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;  // by segment
  std::vector<std::vector<Partition>> segments_;
  std::string failure_;
  uint64_t results_read_ = 0, commits_checked_ = 0, states_checked_ = 0, code_marks_ = 0;
};

}  // namespace millrace::sim
