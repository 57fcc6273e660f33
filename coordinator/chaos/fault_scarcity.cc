// What a worker needs from its machine and does not get for a while: room and a disk that works, files,
// memory, the right time.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

// poll() takes no more descriptors than a process may have: fewer, and nothing that runs could go on.
constexpr rlim_t kFewestFiles = 8;
// Of what the process used before, in address space.
constexpr uint64_t kLeastPercent = 30, kMostPercent = 65;

class ScarcityFault : public Fault {
 public:
  ScarcityFault(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override { return {worker()}; }
};

// The process refuses by itself, at the lowest place that is ours: under RocksDB.
class RefusingDisk : public ScarcityFault {
 public:
  RefusingDisk(const PlannedFault& plan, const Stage& stage)
      : ScarcityFault(plan, stage), page_(stage.nodes->page(plan.worker)) {}
  ~RefusingDisk() override { page_.disk = millrace::DiskFault::kNone; }

  void Begin() override {
    owned_ = stage_.monitor->OwnedBy(worker());
    refused_ = page_.refused_writes;
    page_.disk =
        plan_.kind == FaultKind::kFullDisk ? millrace::DiskFault::kFull : millrace::DiskFault::kFailing;
  }
  bool Turn() override {
    int stopped = 0;
    for (const auto& [job, partition, epoch] : owned_) {
      stopped += stage_.monitor->Seen(job, partition).state == "stopped" ? 1 : 0;
    }
    most_stopped_ = std::max(most_stopped_, stopped);
    const uint64_t refused = page_.refused_writes - refused_;
    // A worker that was given nothing yet, or whose broker elects, writes later.
    if (Since() < plan_.duration + (refused == 0 ? kEffectDeadline : absl::ZeroDuration())) return false;
    page_.disk = millrace::DiskFault::kNone;
    Note("it wrote nothing");
    if (refused > 0) {
      See(StrCat(refused, " writes refused, ", most_stopped_, " of its ", owned_.size(),
                 " partitions seen stopped"));
    }
    return true;
  }

 private:
  FaultPage& page_;
  std::vector<std::tuple<LedgerKind, uint32_t, uint64_t>> owned_;
  uint64_t refused_ = 0;
  int most_stopped_ = 0;
};

class ClockJump : public ScarcityFault {
 public:
  ClockJump(const PlannedFault& plan, const Stage& stage)
      : ScarcityFault(plan, stage), page_(stage.nodes->page(plan.worker)) {}
  ~ClockJump() override { page_.clock_shift_ms = 0; }

  void Begin() override {
    looks_ = page_.shifted_looks;
    out_ = stage_.monitor->RecordsOut();
    page_.clock_shift_ms = absl::ToInt64Milliseconds(plan_.by);
  }
  bool Turn() override {
    if (Since() < plan_.duration) return false;
    page_.clock_shift_ms = 0;
    const uint64_t looks = page_.shifted_looks - looks_;
    Note("it did not look at its clock");
    if (looks > 0) {
      See(StrCat("it looked ", looks, " times at a wrong clock, while ", stage_.monitor->RecordsOut() - out_,
                 " records came out"));
    }
    return true;
  }

 private:
  FaultPage& page_;
  uint64_t looks_ = 0, out_ = 0;
};

// Its connections are reset, and the kernel gives it no file descriptor to make new ones.
class NoFiles : public ScarcityFault {
 public:
  NoFiles(const PlannedFault& plan, const Stage& stage)
      : ScarcityFault(plan, stage), link_(stage.nodes->link(plan.worker)) {}
  ~NoFiles() override { Restore(); }

  void Begin() override {
    pid_ = stage_.nodes->PidOf(worker());
    Note("its limit could not be lowered");
    if (pid_ == 0 || prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_) != 0) return;
    rlimit lowered = before_;
    lowered.rlim_cur = LowestLostOrFree();
    lowered_ = prlimit(pid_, RLIMIT_NOFILE, &lowered, nullptr) == 0;
    reset_ = link_.Reset();
  }
  bool Turn() override {
    if (!lowered_) return true;
    const bool died = stage_.nodes->PidOf(worker()) != pid_;
    if (!died && Since() < plan_.duration) return false;
    const int connections = link_.Connections();
    Restore();
    Note("it connected all the same");
    if (died) {
      See(StrCat("it died of that after ", Took()));
    } else if (connections < reset_) {
      See(StrCat("of ", reset_, " connections it had ", connections, " again after ", Took()));
    }
    return true;
  }

 private:
  // The lowest descriptor that is free, or will be when the connections are gone: no other could be given.
  rlim_t LowestLostOrFree() const {
    for (rlim_t fd = kFewestFiles;; ++fd) {
      std::error_code error;
      const auto target = std::filesystem::read_symlink(StrCat("/proc/", pid_, "/fd/", fd), error);
      if (error || absl::StartsWith(target.string(), "socket:")) return fd;
    }
  }
  void Restore() {
    if (lowered_ && stage_.nodes->PidOf(worker()) == pid_) prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr);
    lowered_ = false;
  }

  Proxy& link_;
  pid_t pid_ = 0;
  rlimit before_ = {};
  bool lowered_ = false;
  int reset_ = 0;
};

// A process that runs has what it needs: it is started again with less than it had, and lives until it asks
// for more.
class NoMemory : public ScarcityFault {
 public:
  NoMemory(const PlannedFault& plan, const Stage& stage) : ScarcityFault(plan, stage) {}

  void Begin() override {
    const rlim_t used = AddressBytes(stage_.nodes->PidOf(worker()));
    given_ = used / 100 * (kLeastPercent + plan_.seed % (kMostPercent - kLeastPercent));
    stage_.nodes->Kill(worker(), Nodes::Then::kStayDown);
    if (!stage_.nodes->StartAgain(worker()).ok()) return Note("it could not be started");
    pid_ = stage_.nodes->PidOf(worker());
    const rlimit limit = {given_, RLIM_INFINITY};
    limited_ = used > 0 && prlimit(pid_, RLIMIT_AS, &limit, nullptr) == 0;
    if (!limited_) Note("its limit could not be lowered");
  }
  bool Turn() override {
    if (!limited_) return true;
    if (stage_.nodes->PidOf(worker()) != pid_) {
      See(StrCat("it died of ", given_ >> 20, " MiB after ", Took()));
      return true;
    }
    if (Since() < plan_.duration) return false;
    const rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    prlimit(pid_, RLIMIT_AS, &limit, nullptr);
    Note(StrCat("it lived on ", given_ >> 20, " MiB"));
    return true;
  }

 private:
  static rlim_t AddressBytes(pid_t pid) {
    std::ifstream file(StrCat("/proc/", pid, "/statm"));
    rlim_t pages = 0;
    file >> pages;
    return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
  }

  pid_t pid_ = 0;
  rlim_t given_ = 0;
  bool limited_ = false;
};

}  // namespace

std::unique_ptr<Fault> MakeScarcityFault(const PlannedFault& plan, const Stage& stage) {
  switch (plan.kind) {
    case FaultKind::kFullDisk:
    case FaultKind::kFailingDisk:
      return std::make_unique<RefusingDisk>(plan, stage);
    case FaultKind::kClockJump:
      return std::make_unique<ClockJump>(plan, stage);
    case FaultKind::kNoFiles:
      return std::make_unique<NoFiles>(plan, stage);
    case FaultKind::kNoMemory:
      return std::make_unique<NoMemory>(plan, stage);
    default:
      return nullptr;
  }
}

}  // namespace millrace::chaos
