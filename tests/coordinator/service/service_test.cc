#include "coordinator/service/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/names.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr int kMaxTurns = 200;

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(bus_->CreateBucket(bucket).ok());
    }
    CoordinatorLease self;
    self.id = "00000000000000c1";
    service_ = std::make_unique<Service>(Leadership::Options{self, absl::Seconds(3), /*seed=*/1}, *bus_,
                                         clock_, board_, metrics_);
  }
  void TurnUntil(const std::function<bool()>& done) {
    for (int i = 0; i < kMaxTurns && !done(); ++i) {
      service_->Turn();
      clock_.Advance(absl::Milliseconds(200));
    }
    EXPECT_TRUE(done());
  }
  bool MetricsSay(const std::string& line) const { return metrics_.Text().find(line) != std::string::npos; }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  Board board_;
  Metrics metrics_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, ShowsThatItLeadsOnceItDoes) {
  EXPECT_FALSE(board_.Look().knows_leader);
  TurnUntil([&] { return board_.Look().knows_leader && MetricsSay("millrace_leader 1"); });
  EXPECT_NE(board_.Look().snapshot, nullptr);
  EXPECT_EQ(board_.Look().bus, bus_.get());
}

TEST_F(ServiceTest, CountsJobsByTheirState) {
  JobRecord job;
  job.name = "delays";
  job.uid = "00000000000000aa";
  job.partitions = 1;
  ASSERT_TRUE(bus_->PutKey(kJobsBucket, "job.delays", Encode(job)).ok());
  TurnUntil([&] { return MetricsSay("millrace_jobs{state=\"running\"} 1"); });
  FinalStatus final_status;
  final_status.state = "completed";
  ASSERT_TRUE(bus_->PutKey(kAssignmentsBucket, "final." + job.uid, Encode(final_status)).ok());
  TurnUntil([&] { return MetricsSay("millrace_jobs{state=\"completed\"} 1"); });
  EXPECT_THAT(metrics_.Text(), HasSubstr("millrace_jobs{state=\"running\"} 0"));
}

}  // namespace
}  // namespace millrace
