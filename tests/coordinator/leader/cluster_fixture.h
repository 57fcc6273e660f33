// Coordinators and the traces of workers on one in-memory broker, on a clock that the test moves.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/leader/leader.h"
#include "gtest/gtest.h"
#include "tests/coordinator/leader/dying_bus.h"
#include "tests/support/memory_bus.h"

namespace millrace {

inline constexpr absl::Duration kTestTtl = absl::Seconds(3);

// One coordinator: its own link to the broker, its own loop.
struct TestCoordinator {
  TestCoordinator(const std::string& id, MemoryBroker& broker, Clock& clock) : bus(broker), life(bus) {
    CoordinatorLease self;
    self.id = id;
    leader = std::make_unique<Leader>(Leadership::Options{self, kTestTtl, /*seed=*/1}, life, clock);
  }
  void Turn() {
    std::vector<BusEvent> events;
    while (bus.Poll(absl::ZeroDuration(), 1000, &events) > 0) {
      for (const BusEvent& event : events) leader->HandleEvent(event);
      events.clear();
    }
    leader->Step();
  }
  bool Leads() const { return leader->leadership().Leads(); }

  MemoryBus bus;
  DyingBus life;
  std::unique_ptr<Leader> leader;
};

class ClusterTest : public testing::Test {
 protected:
  ClusterTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(bus_.CreateBucket(bucket).ok());
    }
  }

  TestCoordinator& AddCoordinator(const std::string& id) {
    return *(coordinators_[id] = std::make_unique<TestCoordinator>(id, broker_, clock_));
  }
  // As by kill -9: nothing of it happens any more.
  void Kill(const std::string& id) { coordinators_.erase(id); }

  WorkerLease& AddWorker(const std::string& name) {
    WorkerLease& worker = workers_[name];
    worker.name = name;
    worker.incarnation = name + "-first";
    worker.process = name + "-process";
    worker.state = "ready";
    return worker;
  }
  void LoseWorker(const std::string& name) { workers_.erase(name); }

  // Lets time pass: living workers beat, all coordinators take turns.
  void Run(absl::Duration duration) {
    const absl::Duration step = kTestTtl / 10;
    for (absl::Duration passed; passed < duration; passed += step) {
      clock_.Advance(step);
      for (auto& [name, worker] : workers_) Beat(worker);
      for (auto& [id, coordinator] : coordinators_) coordinator->Turn();
    }
  }
  void RunUntilPlanned() { Run(kTestTtl); }

  // One coordinator, workers w1 and w2, and a job u1 that they share.
  void BeginWithTwoWorkers(uint32_t partitions) {
    AddCoordinator("a");
    AddWorker("w1");
    AddWorker("w2");
    Submit("job", "u1", partitions);
    RunUntilPlanned();
  }
  void Submit(const std::string& name, const std::string& uid, uint32_t partitions,
              uint32_t step_version = 1) {
    JobRecord record;
    record.step_version = step_version;
    record.name = name;
    record.uid = uid;
    record.partitions = partitions;
    EXPECT_TRUE(bus_.PutKey(kJobsBucket, "job." + name, Encode(record)).ok());
  }
  void Give(const std::string& uid, int number, const std::string& verb) {
    EXPECT_TRUE(
        bus_.CreateKey(kAssignmentsBucket, StrCat("cmd.", uid, ".", number), Encode(Command{verb, "me"}))
            .ok());
  }
  void Drain(const std::string& worker, int number, const std::string& verb = "drain") {
    const Command command{verb, "me", workers_[worker].process};
    EXPECT_TRUE(
        bus_.CreateKey(kAssignmentsBucket, StrCat("drain.", worker, ".", number), Encode(command)).ok());
  }
  // From now on the owners say this of the job's partitions.
  void Report(const std::string& name, const std::string& uid, const std::string& state,
              const std::string& reason = "") {
    const Owners owners = OwnersOf(InForce().jobs);
    for (auto& [worker_name, worker] : workers_) {
      for (uint32_t p = 0; p < owners.at(uid).size(); ++p) {
        if (owners.at(uid)[p] != worker_name) continue;
        PartitionReport report;
        report.job = name;
        report.uid = uid;
        report.partition = p;
        report.records_in = 10;
        report.records_out = 5;
        report.state = state;
        report.reason = reason;
        std::erase_if(worker.partitions, [&](const auto& r) { return r.uid == uid && r.partition == p; });
        worker.partitions.push_back(report);
      }
    }
  }

  // What a worker would follow: the greatest (term, number) of all keys.
  Assignment InForce() {
    NumberedKey greatest;
    Assignment in_force;
    for (const auto& [key, entry] : Keys(kAssignmentsBucket)) {
      const auto numbers = ParseNumberedKey(key, "assign.", 2);
      if (!numbers.has_value() || *numbers < greatest) continue;
      greatest = *numbers;
      const auto decoded = DecodeAssignment(entry.value);
      EXPECT_TRUE(decoded.ok()) << decoded.status();
      in_force = *decoded;
    }
    return in_force;
  }
  std::vector<std::string> OwnersInForce(const std::string& uid) {
    const Owners owners = OwnersOf(InForce().jobs);
    const auto found = owners.find(uid);
    return found == owners.end() ? std::vector<std::string>{} : found->second;
  }
  size_t Owned(const std::string& uid, const std::string& worker) {
    const std::vector<std::string> owners = OwnersInForce(uid);
    return static_cast<size_t>(std::count(owners.begin(), owners.end(), worker));
  }
  std::optional<FinalStatus> Final(const std::string& uid) {
    const auto entry = bus_.GetKey(kAssignmentsBucket, "final." + uid);
    if (!entry.ok()) return std::nullopt;
    const auto decoded = DecodeFinalStatus(entry->value);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    return *decoded;
  }
  Entries Keys(const std::string& bucket) {
    KeyView view(bus_, bucket);
    std::vector<BusEvent> events;
    while (bus_.Poll(absl::ZeroDuration(), 1000, &events) > 0) {
      for (const BusEvent& event : events) view.Handle(event);
      events.clear();
    }
    Entries living;
    for (const auto& [key, entry] : view.entries()) {
      if (!entry.deleted) living.emplace(key, entry);
    }
    return living;
  }
  void Beat(WorkerLease& worker) {
    ++worker.beat;
    EXPECT_TRUE(bus_.PutKey(kWorkersBucket, "w." + worker.name, Encode(worker)).ok());
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  MemoryBus bus_{broker_};  // of the workers, the command line and the test
  std::map<std::string, std::unique_ptr<TestCoordinator>> coordinators_;
  std::map<std::string, WorkerLease> workers_;
};

}  // namespace millrace
