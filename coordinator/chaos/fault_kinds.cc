// What the kinds of faults are called, and what is known of each without causing it.
#include <array>

#include "coordinator/chaos/scenario.h"

namespace millrace::chaos {
namespace {

struct KindEntry {
  std::string_view name, help;
};

// In the order of FaultKind.
constexpr std::array<KindEntry, kFaultKinds> kKindTable = {{
    {"kill", "a worker dies of SIGKILL, at any time or at_point"},
    {"kill_all", "every worker at once"},
    {"kill_leader", "the coordinator that leads"},
    {"pause_leader", "the leader is stopped beyond its lease, then continued"},
    {"kill_broker", "nats-server is killed and started again; of three one, or so many"},
    {"lame_duck", "one nats-server of three is told to end, and started again"},
    {"step_down", "a stream's leader gives it up to another of three"},
    {"terminate", "a worker is asked to end (SIGTERM), and started again"},
    {"pause", "a worker is stopped beyond its lease, then continued"},
    {"zombie", "a worker is stopped with appends on their way, which arrive late"},
    {"cut_off", "a worker is cut off from NATS, one way or both"},
    {"slow_link", "what passes between a worker and NATS takes longer"},
    {"lossy_link", "packets between a worker and NATS are lost and repeated"},
    {"reset_link", "a worker's connections are reset"},
    {"delete_state", "a worker is killed, its data folder deleted"},
    {"flip_bit", "a worker is killed, a bit of its state flipped"},
    {"torn_tail", "a worker is killed, the end of a state file torn off"},
    {"bad_checkpoint", "a worker loses its disk, and its partitions' newest checkpoints are spoiled"},
    {"full_disk", "a worker's disk is full for a while"},
    {"failing_disk", "a worker's disk refuses to write and to sync for a while"},
    {"no_files", "a worker can open neither files nor connections for a while; those to NATS are reset"},
    {"no_memory", "a worker is started again with less memory than it used"},
    {"clock_jump", "a worker's wall clock is wrong for a while, and jumps back"},
    {"overrun", "a record on which the handler never returns"},
    {"repeat_frame", "a frame of the input is in its stream once more"},
    {"kill_ingest", "the submit is killed and run again"},
    {"scale", "to so many workers, and back"},
    {"upgrade", "worker after worker is renewed; jobs get code for the next release while old ones run"},
    {"purge_stream", "an input stream is purged before it was read: must stop loudly"},
    {"replace_stream", "an input stream is deleted and made anew: must stop loudly"},
}};

}  // namespace

std::string_view KindName(FaultKind kind) { return kKindTable[static_cast<size_t>(kind)].name; }
std::string_view KindHelp(FaultKind kind) { return kKindTable[static_cast<size_t>(kind)].help; }

bool EndsInLoudStop(FaultKind kind) {
  return kind == FaultKind::kPurgeStream || kind == FaultKind::kReplaceStream;
}

bool NeedsTestHooks(FaultKind kind) {
  return kind == FaultKind::kFullDisk || kind == FaultKind::kFailingDisk || kind == FaultKind::kClockJump ||
         kind == FaultKind::kUpgrade;
}

bool WorksAnywhere(FaultKind kind) {
  return kind == FaultKind::kOverrun || kind == FaultKind::kRepeatFrame || kind == FaultKind::kKillIngest ||
         kind == FaultKind::kStepDown;
}

const std::vector<std::string>& RunningPoints() {
  static const auto& points = *new std::vector<std::string>{
      "after_step", "after_output_sent", "after_output_ack", "after_freeze", "between_ack_and_commit",
      "in_commit",  "after_commit"};
  return points;
}

const std::vector<std::string>& OpeningPoints() {
  static const auto& points = *new std::vector<std::string>{"before_restore", "in_restore", "after_claim",
                                                            "after_epoch_mark", "before_pull"};
  return points;
}

const std::vector<std::string>& CheckpointPoints() {
  static const auto& points =
      *new std::vector<std::string>{"in_upload", "before_manifest", "after_manifest", "in_collection"};
  return points;
}

const std::vector<std::string>& IngestPoints() {
  static const auto& points =
      *new std::vector<std::string>{"ingest_after_claim", "ingest_after_epoch_marks", "ingest_after_append"};
  return points;
}

}  // namespace millrace::chaos
