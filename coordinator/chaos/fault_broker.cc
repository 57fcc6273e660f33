// The brokers: killed, one or most of three; told to end; a stream's leader made to give it up.
#include <csignal>

#include "common/strings.h"
#include "coordinator/chaos/brokers.h"
#include "coordinator/chaos/fault.h"

namespace millrace::chaos {
namespace {

// A lame duck takes 30 seconds to send its clients away.
constexpr absl::Duration kLameDuckDeadline = absl::Seconds(60);

class BrokerFault : public Fault {
 public:
  BrokerFault(const PlannedFault& plan, const Stage& stage) : Fault(plan, stage) {}
  // All of them: two such faults at once would take away the majority by accident.
  std::vector<std::string> Holds() const override {
    std::vector<std::string> names;
    for (int64_t i = 0; i < stage_.nodes->brokers(); ++i) names.push_back(Nodes::Broker(i));
    if (TakesMajority()) names.push_back(Nodes::kMajority);
    return names;
  }

 protected:
  virtual bool TakesMajority() const { return false; }
  int64_t Hit(int64_t i) const { return (plan_.broker + i) % stage_.nodes->brokers(); }
};

class KillBroker : public BrokerFault {
 public:
  KillBroker(const PlannedFault& plan, const Stage& stage) : BrokerFault(plan, stage) {}

  void Begin() override {
    if (TakesMajority()) {
      acknowledged_ = Acknowledges(*stage_.nats);
    } else {
      led_ = StreamsLed(*stage_.nats, Nodes::Broker(Hit(0)));
    }
    for (int64_t i = 0; i < plan_.brokers; ++i) {
      stage_.nodes->Kill(Nodes::Broker(Hit(i)), Nodes::Then::kStayDown);
    }
  }
  bool Turn() override {
    const bool some_left = plan_.brokers < stage_.nodes->brokers();
    if (TakesMajority() && some_left && !refused_) refused_ = !Acknowledges(*stage_.nats);
    if (Since() < plan_.duration) return false;
    for (int64_t i = 0; i < plan_.brokers; ++i) {
      if (!stage_.nodes->StartAgain(Nodes::Broker(Hit(i))).ok()) return false;
    }
    for (int64_t i = 0; i < plan_.brokers; ++i) {
      if (!stage_.nodes->BrokerAnswers(Hit(i))) return false;
    }
    Judge(some_left);
    return true;
  }

 private:
  bool TakesMajority() const override { return 2 * plan_.brokers >= stage_.nodes->brokers(); }
  void Judge(bool some_left) {
    if (!some_left) return See(StrCat("gone for ", Took()));
    if (!TakesMajority()) {
      Note("it led no stream");
      if (led_.streams > 0) {
        See(StrCat("it led ", led_.streams, " of ", led_.of, " streams, gone for ", Took()));
      }
      return;
    }
    Note(acknowledged_ ? "appends were acknowledged all the same" : "nothing was acknowledged before");
    if (acknowledged_ && refused_) See(StrCat("nothing was acknowledged any more; gone for ", Took()));
  }

  Led led_;
  bool acknowledged_ = false;  // appends, before
  bool refused_ = false;       // one, meanwhile
};

class LameDuck : public BrokerFault {
 public:
  LameDuck(const PlannedFault& plan, const Stage& stage)
      : BrokerFault(plan, stage), name_(Nodes::Broker(plan.broker)) {}

  void Begin() override {
    led_ = StreamsLed(*stage_.nats, name_);
    pid_ = stage_.nodes->PidOf(name_);
    stage_.nodes->KeepDown(name_);
    stage_.nodes->Signal(name_, SIGUSR2);
  }
  bool Turn() override {
    if (stage_.nodes->IsUp(name_) && stage_.nodes->PidOf(name_) == pid_) {
      if (Since() < kLameDuckDeadline) return false;
      Note(StrCat("it did not end within ", Took()));
      stage_.nodes->Kill(name_, Nodes::Then::kStartAgain);
      return true;
    }
    if (ended_after_.empty()) ended_after_ = Took();
    if (!stage_.nodes->StartAgain(name_).ok() || !stage_.nodes->BrokerAnswers(plan_.broker)) return false;
    Note("it led no stream");
    if (led_.streams > 0) {
      See(StrCat("it led ", led_.streams, " of ", led_.of, " streams, and ended after ", ended_after_));
    }
    return true;
  }

 private:
  const std::string name_;
  Led led_;
  pid_t pid_ = 0;
  std::string ended_after_;
};

// An input or a result stream of the partition. It needs no process: the brokers are asked.
class StepDown : public Fault {
 public:
  StepDown(const PlannedFault& plan, const Stage& stage)
      : Fault(plan, stage),
        stream_(StrCat("mr-", stage.monitor->name(plan.ledger), plan.seed % 2 == 0 ? "-0-" : "-out-",
                       plan.partition)) {}

  void Begin() override {
    before_ = LeaderOfStream(*stage_.nats, stream_);
    const auto asked = stage_.nats->Api("STREAM.LEADER.STEPDOWN." + stream_);
    if (!asked.ok()) Note(std::string(asked.status().message()));
    asked_ = asked.ok() && !before_.empty();
  }
  bool Turn() override {
    if (!asked_) {
      if (note().empty()) Note(stream_ + " had no leader");
      return true;
    }
    const std::string now = LeaderOfStream(*stage_.nats, stream_);
    if (!now.empty() && now != before_) {
      See(StrCat(stream_, " went from ", before_, " to ", now, " in ", Took()));
      return true;
    }
    Note(StrCat(stream_, " stayed with ", before_));
    return Since() > kEffectDeadline;
  }

 private:
  const std::string stream_;
  std::string before_;
  bool asked_ = false;
};

}  // namespace

std::unique_ptr<Fault> MakeBrokerFault(const PlannedFault& plan, const Stage& stage) {
  switch (plan.kind) {
    case FaultKind::kKillBroker:
      return std::make_unique<KillBroker>(plan, stage);
    case FaultKind::kLameDuck:
      return std::make_unique<LameDuck>(plan, stage);
    case FaultKind::kStepDown:
      return std::make_unique<StepDown>(plan, stage);
    default:
      return nullptr;
  }
}

}  // namespace millrace::chaos
