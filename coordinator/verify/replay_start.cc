#include "coordinator/verify/replay_start.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/checkpoint/catalog.h"
#include "common/checkpoint/fetch.h"
#include "common/names.h"
#include "common/state/load_state.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kWhole[] = "use `retain: all` in a job that is to be replayed whole";

// A commit names what it stands on.
absl::Status CheckIdentity(Bus& bus, const StreamInfo& log, const CommitRow& commit) {
  if (commit.input_created_ns != log.created_ns) {
    return absl::DataLossError(StrCat("the log ", log.config.name,
                                      " was made anew since its checkpoint at offset ", commit.offset.value(),
                                      ": it is not the one that was handled"));
  }
  if (commit.offset.value() == 0 || commit.offset.value() < log.first_sequence) return absl::OkStatus();
  const absl::StatusOr<Message> last = bus.GetMessage(log.config.name, commit.offset.value());
  if (absl::IsNotFound(last.status())) return absl::OkStatus();
  if (!last.ok()) return last.status();
  if (last->time_ns == commit.offset_time_ns) return absl::OkStatus();
  return absl::DataLossError(StrCat("message ", commit.offset.value(), " of the log ", log.config.name,
                                    " is not the one that its checkpoint was made behind: the stream was "
                                    "rolled back"));
}

}  // namespace

std::vector<CheckpointId> PlanReplayStart(std::vector<CheckpointId> there, uint64_t log_begins_at,
                                          const ReplayWish& wish) {
  std::erase_if(there, [&](const CheckpointId& id) { return id.offset.value() + 1 < log_begins_at; });
  std::sort(there.begin(), there.end(), [](const CheckpointId& a, const CheckpointId& b) {
    return std::pair(a.offset, a.epoch) < std::pair(b.offset, b.epoch);
  });
  const bool is_whole = log_begins_at <= 1;
  if (wish.before.has_value()) {
    const auto behind = std::find_if(there.begin(), there.end(),
                                     [&](const CheckpointId& id) { return id.offset >= *wish.before; });
    std::reverse(there.begin(), behind);
    if (is_whole) there.erase(behind, there.end());
    return there;
  }
  if (is_whole) return {};
  const size_t passed_over = std::min(wish.passed_over, there.empty() ? 0 : there.size() - 1);
  there.erase(there.begin(), there.begin() + static_cast<ptrdiff_t>(passed_over));
  return there;
}

ReplayStarts::~ReplayStarts() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

absl::StatusOr<ReplayStart> ReplayStarts::Find(const JobRecord& job, Retain retain, SegmentId segment,
                                               PartitionId partition, const ReplayWish& wish) {
  const absl::StatusOr<StreamInfo> log = bus_.GetStream(InputStream(job.name, segment, partition));
  if (!log.ok()) return log.status();
  // Elsewhere a log without its beginning is a loss, which whoever reads it says.
  const bool is_trimmed = log->first_sequence > 1 && retain == Retain::kResults;
  if (!is_trimmed && !wish.before.has_value()) return ReplayStart();
  std::vector<CheckpointId> there;
  if (checkpoints_ != nullptr) {
    auto found = ListCheckpoints(*checkpoints_, {job.uid, segment, partition});
    if (!found.ok()) return found.status();
    there = *std::move(found);
  }
  for (const CheckpointId& id : PlanReplayStart(there, is_trimmed ? log->first_sequence : 1, wish)) {
    absl::StatusOr<std::optional<ReplayStart>> start = Fetch(job, segment, partition, id);
    if (!start.ok()) return start.status();
    if (!start->has_value()) continue;
    if (absl::Status same = CheckIdentity(bus_, *log, *(**start).commit); !same.ok()) return same;
    return **std::move(start);
  }
  if (!is_trimmed) return ReplayStart();
  const std::string begins = StrCat("the log ", log->config.name, " begins at ", log->first_sequence,
                                    ": what came before is deleted, and ");
  if (checkpoints_ == nullptr) {
    return absl::FailedPreconditionError(
        StrCat(begins,
               "a replay needs all of it, or a checkpoint — try --checkpoints URL, as the workers have "
               "it, or ",
               kWhole));
  }
  return absl::FailedPreconditionError(StrCat(begins, "none of its ", there.size(),
                                              " checkpoints is good and leads on — is --checkpoints the "
                                              "workers' own? — or ",
                                              kWhole));
}

// nullopt: it is not good, or was deleted meanwhile.
absl::StatusOr<std::optional<ReplayStart>> ReplayStarts::Fetch(const JobRecord& job, SegmentId segment,
                                                               PartitionId partition,
                                                               const CheckpointId& id) {
  if (absl::Status made = MakeFolder(); !made.ok()) return made;
  ReplayStart start;
  start.offset = id.offset;
  start.folder = StrCat(folder_, "/", ++fetched_);
  absl::StatusOr<CheckpointManifest> manifest =
      FetchCheckpoint(*checkpoints_, {job.uid, segment, partition}, id, start.folder, resources_);
  if (manifest.ok()) {
    start.commit = std::move(manifest->commit);
    return std::optional<ReplayStart>(std::move(start));
  }
  std::error_code ignored;
  std::filesystem::remove_all(start.folder, ignored);
  if (!absl::IsDataLoss(manifest.status())) return manifest.status();
  notes_.push_back(StrCat("the checkpoint of partition ", PartitionText(segment, partition), " at offset ",
                          id.offset.value(), " cannot be used: ", ToStd(manifest.status().message())));
  return std::nullopt;
}

absl::Status ReplayStarts::MakeFolder() {
  if (!folder_.empty()) return absl::OkStatus();
  std::error_code error;
  std::string pattern = std::filesystem::temp_directory_path(error).string() + "/millrace-replay-XXXXXX";
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return absl::ResourceExhaustedError(
        StrCat("cannot make a folder for checkpoints: ", error ? error.message() : std::strerror(errno),
               " — TMPDIR says where it is made"));
  }
  folder_ = pattern;
  resources_ = DbResources::Create({});
  return absl::OkStatus();
}

absl::Status ReplayStarts::Load(const ReplayStart& start, State* state) {
  absl::StatusOr<std::unique_ptr<PartitionDb>> db = PartitionDb::Open(start.folder, resources_);
  if (!db.ok()) return db.status();
  return LoadState(**db, state).status();
}

}  // namespace millrace
