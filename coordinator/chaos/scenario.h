// A scenario: a cluster, a load and what goes wrong meanwhile, as people write it in a file.
//
//   name: kills
//   about: what it is good for, in a sentence
//   cluster: { workers: 3, coordinators: 2, brokers: 1, lease: 2s, checkpoints: 2s, recovery: 20s }
//   load: { rate: 4000, duration: 40s, keys: 500, partitions: 8, hot: 0.9, commit: 50ms }
//   faults:
//     - { kind: kill, count: 10 }                                   # at any time, spread over the load
//     - { kind: kill, at_point: [in_commit, after_step], count: 4 }
//     - { kind: pause, when: 10s, every: 12s, count: 2, duration: 7s }
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace::chaos {

enum class FaultKind {
  kKill,           // a worker dies of SIGKILL: at any time, or at a named point
  kKillAll,        // every worker at once
  kKillLeader,     // the coordinator that leads
  kPauseLeader,    // it is stopped beyond its lease, then continued: two believe that they lead
  kKillBroker,     // nats-server; of three one, or so many
  kLameDuck,       // one of three is told to end: it hands over its streams and sends its clients away
  kStepDown,       // the leader of a stream gives it up to another of three
  kTerminate,      // a worker is asked to end, and started again
  kPause,          // a worker is stopped beyond its lease, then continued
  kZombie,         // likewise, with appends on their way that arrive late
  kCutOff,         // a worker cut off from NATS, one way or both
  kSlowLink,       // everything between a worker and NATS takes longer
  kLossyLink,      // packets lost between them: what follows waits for the repeat
  kResetLink,      // a worker's connections are reset
  kDeleteState,    // a worker is killed and its data folder deleted
  kFlipBit,        // a worker is killed and a bit of its state flipped
  kTornTail,       // a worker is killed and the end of a state file torn off
  kBadCheckpoint,  // its data folder is deleted, and its partitions' newest checkpoints spoiled
  kFullDisk,       // a worker's disk takes no byte for a while
  kFailingDisk,    // a worker's disk refuses to write and to sync for a while
  kNoFiles,        // a worker whose connections are reset can open no file and no connection for a while
  kNoMemory,       // a worker is started again with less memory than it used
  kClockJump,      // a worker's wall clock is wrong for a while
  kOverrun,        // a record on which the handler never returns
  kRepeatFrame,    // a frame of the input is in its stream once more
  kKillIngest,     // the submit dies, and is run again
  kScale,          // to so many workers, and back
  kUpgrade,  // worker after worker comes back as of the next release, and jobs get code that only that can run
  kPurgeStream,    // an input stream purged before it was read: a loud stop
  kReplaceStream,  // an input stream deleted and made anew: a loud stop
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::kReplaceStream) + 1;

std::string_view KindName(FaultKind kind);
// One line: what it does.
std::string_view KindHelp(FaultKind kind);
// The right answer to it is that a partition stops and says why.
bool EndsInLoudStop(FaultKind kind);
// It takes a build with test hooks, whatever its keys.
bool NeedsTestHooks(FaultKind kind);
// It can be caused in a cluster that somebody else runs.
bool WorksAnywhere(FaultKind kind);

enum class Way { kBoth, kToServer, kFromServer };

struct ClusterSpec {
  int64_t workers = 2;
  int64_t coordinators = 1;
  int64_t brokers = 1;  // 1 or 3; streams and buckets have as many copies
  absl::Duration lease = absl::Seconds(2);
  absl::Duration checkpoints;  // how often each partition makes one, in a folder; zero: there is no store
  // How long after a fault everything that waits must be out.
  absl::Duration recovery = absl::Seconds(20);
};

// How long records may flow.
inline constexpr absl::Duration kMinLoad = absl::Seconds(1);
inline constexpr absl::Duration kMaxLoad = absl::Hours(24);

struct LoadSpec {
  int64_t rate = 4000;  // records a second, for each of the three jobs
  absl::Duration duration = absl::Seconds(30);
  int64_t keys = 500;
  uint32_t partitions = 8;
  double hot = 0;  // the share of the records that one key has, beyond its own
  absl::Duration commit = absl::Milliseconds(50);

  int64_t records() const;
};

struct FaultSpec {
  FaultKind kind = FaultKind::kKill;
  int64_t count = 1;
  std::optional<absl::Duration> when;   // of the first; without it they are spread over the load at random
  std::optional<absl::Duration> every;  // from one to the next
  absl::Duration duration;              // how long it lasts
  std::vector<std::string> points;      // at_point
  Way way = Way::kBoth;
  absl::Duration delay = absl::Milliseconds(100);  // slow_link
  double loss = 0.02;                              // lossy_link
  int64_t workers = 4;                             // scale
  int64_t brokers = 1;                             // kill_broker
  absl::Duration by = absl::Hours(1);              // clock_jump, forward or back
};

struct Scenario {
  std::string name;
  std::string about;
  ClusterSpec cluster;
  LoadSpec load;
  std::vector<FaultSpec> faults;
};

// The points at which a process can be made to die, in a build with test hooks (common/failpoint.h).
const std::vector<std::string>& RunningPoints();  // a worker's, passed again and again
const std::vector<std::string>& OpeningPoints();  // a worker's, passed once for each partition that it opens
const std::vector<std::string>& CheckpointPoints();  // a worker's, where there is a store
const std::vector<std::string>& IngestPoints();

// INVALID_ARGUMENT, one line: `FILE:LINE:COLUMN: what — why — what to try`.
absl::StatusOr<Scenario> ParseScenario(std::string_view file_name, std::string_view text);

// The same with so many kills, the load as long as they then need, and the other faults in proportion.
// FAILED_PRECONDITION: it has none.
absl::StatusOr<Scenario> WithKills(Scenario scenario, int64_t kills);
// The same with a load of that length. INVALID_ARGUMENT: a fault would come behind its end.
absl::StatusOr<Scenario> WithDuration(Scenario scenario, absl::Duration duration);

}  // namespace millrace::chaos
