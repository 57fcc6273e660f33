// The workload: every record of every key is numbered, and the job keeps a sum that a loss, a double or a
// swap would change. And what must come of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace::sim {

enum class Handler {
  kNative,    // aggregate, a result for each record
  kLua,       // the same in user code
  kFinal,     // aggregate, a result for each key when the input has ended
  kBranched,  // as kNative, behind branches that double records, drop the second ones and hold some up
  kWindowed,  // as kFinal, once for windows added up, which close all the time, and once without them
};

// How many results there are for a key when the input has ended; 0: its records have results.
constexpr int FinalResults(Handler handler) {
  return handler == Handler::kFinal ? 1 : handler == Handler::kWindowed ? 2 : 0;
}

struct LedgerOptions {
  uint32_t records = 200;
  uint32_t keys = 10;
  uint32_t partitions = 3;
  size_t key_bytes = 0;  // keys are filled up to so many
  Handler handler = Handler::kNative;
  uint32_t concurrency = 0;  // of kLua; 0: its code runs with its partition
  // The partitions of a second segment, which sums the first one's outputs up by group; 0: there is none.
  uint32_t group_partitions = 0;
  uint32_t groups = 5;

  uint32_t segments() const { return group_partitions == 0 ? 1 : 2; }
  uint32_t partitions_of(uint32_t segment) const { return segment == 0 ? partitions : group_partitions; }
};

// What a segment has made of the records of one key.
struct Account {
  int64_t count = 0, sum = 0, chain = 0, last = 0;
  std::string group = {};  // of the last record, where outputs go on by group
  void Take(int64_t number);
  // As the segment puts them out and keeps them.
  std::string OutputJson(Handler handler) const;
  std::string StateJson(Handler handler) const;
};

// Numbered in the input: the n-th of its key. In the second segment its number is a sum.
struct LedgerRecord {
  std::string key;
  int64_t number = 0;
  std::string group = {};  // empty where no segment follows
  std::string line = {};   // of the input, without its end
};

// What an update of the job adds to each number that is summed up behind its mark: tells which code ran.
inline constexpr int64_t kUpdateBonus = 1000;

class Ledger {
 public:
  Ledger(const LedgerOptions& options, uint64_t seed);

  // `bonus`: what this version of the code adds to each number; 0: what the job begins with.
  std::string JobText(const std::string& name, int64_t bonus = 0) const;
  // Of a version's text.
  static int64_t BonusOf(const std::string& job_text);
  std::string InputText() const;
  // In the order of the input, by partition.
  const std::vector<std::vector<LedgerRecord>>& by_partition() const { return by_partition_; }
  const LedgerOptions& options() const { return options_; }
  // How many the job puts out.
  uint64_t outputs() const;

 private:
  bool has_times() const { return options_.handler == Handler::kWindowed; }

  const LedgerOptions options_;
  std::vector<LedgerRecord> records_;
  std::vector<std::vector<LedgerRecord>> by_partition_;
};

}  // namespace millrace::sim
