// The state on a worker's disk: deleted, a bit flipped, the end of a file torn off, while the worker is down.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "common/strings.h"
#include "coordinator/chaos/damage.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;

constexpr char kDamaged[] = "the state on disk is damaged";

// What a partition's state is read from when it is opened, in an order that does not depend on the disk's.
std::vector<fs::path> StateFiles(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool is_state = absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".log") ||
                          absl::StartsWith(name, "MANIFEST") || name == "CURRENT";
    if (is_state && entry->is_regular_file(error) && entry->file_size(error) > 0)
      files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class DiskFault : public Fault {
 public:
  DiskFault(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  bool NeedsPartition() const override { return true; }
  std::vector<std::string> Holds() const override { return {worker()}; }

  void Begin() override {
    owned_ = stage_.monitor->OwnedBy(worker());
    stage_.nodes->Kill(worker(), Nodes::Then::kStayDown);
    std::error_code error;
    log_bytes_ = fs::file_size(stage_.nodes->LogFile(worker()), error);
    Damage();
    if (!stage_.nodes->StartAgain(worker()).ok()) Note("it could not be started");
  }
  bool Turn() override {
    if (done_.empty()) {
      if (note().empty()) Note("it had no state on its disk");
      return true;
    }
    if (owned_.empty()) {
      Note("it owned no partition");
      return true;
    }
    const bool told = Told();
    // Opened again, by it or another: what is on the disk was looked at.
    if (!told && stage_.monitor->TakenOver(owned_) < static_cast<int>(owned_.size()) &&
        Since() < kEffectDeadline) {
      return false;
    }
    if (!told && stage_.monitor->TakenOver(owned_) == 0) {
      Note(done_ + "; nobody opened it");
    } else {
      See(StrCat(done_, told ? "; found damaged and made again" : "; opened again"));
    }
    return true;
  }

 private:
  void Damage() {
    const std::string folder = stage_.nodes->DataFolder(plan_.worker);
    const std::vector<fs::path> files = StateFiles(folder);
    if (files.empty()) return;
    if (plan_.kind == FaultKind::kDeleteState) {
      std::error_code error;
      fs::remove_all(folder, error);
      if (!error) done_ = StrCat("its folder with ", files.size(), " state files deleted");
      return;
    }
    const fs::path& file = files[plan_.seed % files.size()];
    done_ =
        plan_.kind == FaultKind::kFlipBit ? FlipBit(file, plan_.seed / 3) : TearTail(file, plan_.seed / 3);
  }
  bool Told() const {
    std::ifstream log(stage_.nodes->LogFile(worker()));
    log.seekg(static_cast<std::streamoff>(log_bytes_));
    for (std::string line; std::getline(log, line);) {
      if (absl::StrContains(line, kDamaged)) return true;
    }
    return false;
  }

  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> owned_;
  std::string done_;  // what was done; empty: nothing
  uintmax_t log_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Fault> MakeDiskFault(const PlannedFault& plan, const Stage& stage) {
  switch (plan.kind) {
    case FaultKind::kDeleteState:
    case FaultKind::kFlipBit:
    case FaultKind::kTornTail:
      return std::make_unique<DiskFault>(plan, stage);
    default:
      return nullptr;
  }
}

}  // namespace millrace::chaos
