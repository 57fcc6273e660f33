// The streams behind Millrace's back: a frame once more; an input stream purged, or deleted and made anew.
#include "common/strings.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

constexpr char kRecordHeader[] = "Millrace";
constexpr int kMostTries = 50;  // messages that are no frame of records
constexpr absl::Duration kUnreadFor = absl::Seconds(1);

std::string StreamName(const Stage& stage, const PlannedFault& plan) {
  return StrCat("mr-", stage.monitor->name(plan.ledger), "-", SegmentOf(plan.ledger), "-", plan.partition);
}

class RepeatFrame : public Fault {
 public:
  RepeatFrame(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}

  void Begin() override {
    const std::string stream = StreamName(stage_, plan_);
    const auto info = stage_.nats->Api("STREAM.INFO." + stream);
    const uint64_t last = info.ok() ? (*info)["state"].value("last_seq", uint64_t{0}) : 0;
    Note(info.ok() ? "no frame was there" : std::string(info.status().message()));
    if (last == 0) return;
    uint64_t sequence = 1 + plan_.seed % last;
    for (int i = 0; i < kMostTries && sequence <= last; ++i, ++sequence) {
      auto message = stage_.nats->Stored(stream, {{"seq", sequence}});
      if (!message.ok()) continue;
      const auto header = ParsePlainHeader(message->Header(kRecordHeader));
      if (!header.ok() || (header->kind != 'd' && header->kind != 'r')) continue;
      std::erase_if(message->headers, [](const auto& entry) { return entry.first != kRecordHeader; });
      const auto again = stage_.nats->Append(StrCat("mr.", stage_.monitor->name(plan_.ledger), ".",
                                                    SegmentOf(plan_.ledger), ".", plan_.partition),
                                             *message);
      if (again.ok()) See(StrCat("message ", sequence, " stands once more as ", *again));
      return;
    }
  }
  bool Turn() override { return true; }
};

// Every worker is killed; what arrives while they are down is taken away before they read it.
class TakeStreamAway : public Fault {
 public:
  TakeStreamAway(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  std::vector<std::string> Holds() const override {
    std::vector<std::string> workers;
    for (int64_t i = 0; i < stage_.nodes->workers(); ++i) workers.push_back(Nodes::Worker(i));
    return workers;
  }

  void Begin() override {
    for (const std::string& name : Holds()) stage_.nodes->Kill(name, Nodes::Then::kStayDown);
  }
  bool Turn() override {
    if (!taken_) {
      if (Since() < kUnreadFor) return false;
      const absl::Status status = TakeAway();
      for (const std::string& name : Holds()) static_cast<void>(stage_.nodes->StartAgain(name));
      taken_ = true;
      if (!status.ok()) {
        Note(std::string(status.message()));
        return true;
      }
    }
    const PartitionSeen& seen = stage_.monitor->Seen(plan_.ledger, plan_.partition);
    if (seen.state == "stopped") {
      See(StrCat("stopped: ", seen.reason));
      return true;
    }
    Note(StrCat("partition ", plan_.partition, " did not stop"));
    return Since() > kUnreadFor + kEffectDeadline;
  }

 private:
  absl::Status TakeAway() {
    const std::string stream = StreamName(stage_, plan_);
    if (plan_.kind == FaultKind::kPurgeStream) return stage_.nats->Api("STREAM.PURGE." + stream).status();
    const auto info = stage_.nats->Api("STREAM.INFO." + stream);
    if (!info.ok()) return info.status();
    if (const auto gone = stage_.nats->Api("STREAM.DELETE." + stream); !gone.ok()) return gone.status();
    return stage_.nats->Api("STREAM.CREATE." + stream, (*info)["config"]).status();
  }

  bool taken_ = false;
};

}  // namespace

std::unique_ptr<Fault> MakeStreamFault(const PlannedFault& plan, const Stage& stage) {
  if (plan.kind == FaultKind::kRepeatFrame) return std::make_unique<RepeatFrame>(plan, stage);
  if (EndsInLoudStop(plan.kind)) return std::make_unique<TakeStreamAway>(plan, stage);
  return nullptr;
}

}  // namespace millrace::chaos
