// The checkpoints in the store: the newest of a worker's partitions are spoiled while it is down and its disk is empty.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/strings.h"
#include "coordinator/chaos/damage.h"
#include "coordinator/chaos/fault.h"
#include "nlohmann/json.hpp"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;

// Of one partition, as ARCHITECTURE.md documents the store: its newest manifest, whose names sort as numbers.
fs::path NewestManifest(const fs::path& partition) {
  fs::path newest;
  std::error_code error;
  for (auto entry = fs::directory_iterator(partition / "manifests", error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".json") newest = std::max(newest, entry->path());
  }
  return newest;
}

// A file that the manifest names; empty: it names none.
fs::path FileOf(const fs::path& manifest, uint64_t seed) {
  std::ifstream stream(manifest);
  std::string line;
  std::getline(stream, line);
  const auto document = nlohmann::json::parse(line, nullptr, false);
  if (!document.is_object() || !document.contains("files") || document["files"].empty()) return {};
  const auto& file = document["files"][seed % document["files"].size()];
  return manifest.parent_path().parent_path() / "files" / file.value("object", "");
}

class BadCheckpoint : public Fault {
 public:
  BadCheckpoint(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    owned_ = stage_.monitor->OwnedBy(worker());
    stage_.nodes->Kill(worker(), Nodes::Then::kStayDown);
    std::error_code error;
    fs::remove_all(stage_.nodes->DataFolder(plan_.worker), error);
    uint64_t seed = plan_.seed;
    for (const auto& [ledger, partition, epoch] : owned_) Spoil(ledger, partition, seed++);
    if (error || !stage_.nodes->StartAgain(worker()).ok()) Note("it could not be started");
  }
  bool Turn() override {
    if (spoiled_ == 0) {
      Note(owned_.empty() ? "it owned no partition" : "its partitions had no checkpoint");
      return true;
    }
    const int opened = stage_.monitor->TakenOver(owned_);
    if (opened < static_cast<int>(owned_.size()) && Since() < kEffectDeadline) return false;
    Note("nobody opened them");
    if (opened > 0) {
      See(StrCat("the newest checkpoints of ", spoiled_, " partitions spoiled (", flipped_,
                 " with a bit flipped, ", removed_, " without their manifest, ", exchanged_, " another's); ",
                 opened, " opened again"));
    }
    return true;
  }

 private:
  fs::path FolderOf(LedgerKind ledger, uint32_t partition) const {
    return fs::path(stage_.nodes->CheckpointFolder()) / stage_.monitor->uid(ledger) /
           StrCat(SegmentOf(ledger), "-", partition);
  }
  void Spoil(LedgerKind ledger, uint32_t partition, uint64_t seed) {
    const fs::path manifest = NewestManifest(FolderOf(ledger, partition));
    if (manifest.empty()) return;
    std::error_code error;
    if (seed % 3 == 0) {
      flipped_ += FlipBit(FileOf(manifest, seed / 3), seed / 3).empty() ? 0 : 1;
    } else if (seed % 3 == 1) {
      removed_ += fs::remove(manifest, error) ? 1 : 0;
    } else {
      const uint32_t other = (partition + 1) % stage_.monitor->partitions();
      const fs::path theirs = NewestManifest(FolderOf(ledger, other));
      exchanged_ += fs::copy_file(theirs, manifest, fs::copy_options::overwrite_existing, error) ? 1 : 0;
    }
    spoiled_ = flipped_ + removed_ + exchanged_;
  }

  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> owned_;
  int spoiled_ = 0, flipped_ = 0, removed_ = 0, exchanged_ = 0;
};

}  // namespace

std::unique_ptr<Fault> MakeCheckpointFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kBadCheckpoint) return std::make_unique<BadCheckpoint>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
