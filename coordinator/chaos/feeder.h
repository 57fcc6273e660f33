// Feeds a job: `coordinator submit --input -`, given its records as they fall due. A submit that is killed is
// run again from the first record on: what was fed already must not count twice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "coordinator/chaos/ledger.h"
#include "coordinator/dev/process.h"

namespace millrace::chaos {

struct FeederOptions {
  std::string program;  // the coordinator
  std::string nats_url;
  std::string job_file;
  std::string log_file;
  int64_t replicas = 1;
};

// Not thread-safe; on the main thread (see Process).
class Feeder {
 public:
  // `input` outlives it.
  Feeder(FeederOptions options, const std::vector<LedgerRecord>& input, Clock& clock);
  ~Feeder();
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  // `failpoint`: where this submit dies; empty: nowhere.
  absl::Status Start(const std::string& failpoint = "");
  // Writes what is due and goes in; starts a submit that has ended again, unless all is fed and the input
  // closed.
  void Turn(size_t due);
  void Kill();
  // Submits from the next on are started with these variables.
  void Renew(std::vector<std::string> environment) { environment_ = std::move(environment); }
  const std::string& job_file() const { return options_.job_file; }
  // From now on the input ends behind the last record.
  void CloseAtEnd() { close_at_end_ = true; }

  size_t written() const { return written_; }  // records, by the submit that runs
  size_t most_written() const { return most_written_; }
  bool done() const { return done_; }  // the submit has fed everything and the end
  int starts() const { return starts_; }
  int killed_ends() const { return killed_ends_; }  // submits that died of SIGKILL
  // What the last submit that failed by itself ended with; 0: none did.
  int failed_with() const { return failed_with_; }

 private:
  void Write(size_t due);
  void ClosePipe();
  void NoteEnd();

  const FeederOptions options_;
  const std::vector<LedgerRecord>& input_;
  Clock& clock_;
  std::vector<std::string> environment_;
  std::unique_ptr<Process> process_;
  int pipe_ = -1;
  std::string unsent_;  // lines made and not yet written
  size_t written_ = 0, most_written_ = 0;
  bool close_at_end_ = false, done_ = false;
  int starts_ = 0, killed_ends_ = 0, failed_with_ = 0;
  absl::Duration start_at_;
};

}  // namespace millrace::chaos
