#include "worker/checkpoint/checkpointer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "tests/support/memory_blob_store.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CheckpointerTest : public testing::Test {
 protected:
  CheckpointerTest() {
    Checkpointer::Options options;
    options.may_act = [this] { return may_act_.load(); };
    checkpointer_ = std::make_unique<Checkpointer>(place_.Open(), *bus_, clock_, options,
                                                   MakeCheckpointMetrics(metrics_));
  }

  // Of a folder that is not there: whatever else happens, it is not stored.
  LinkedCheckpoint Missing() const { return {key_, Epoch(1), "/nowhere/at/all", CommitRow()}; }
  // Submits it and waits for the answer; everything submitted before is done then.
  absl::Status Submit() {
    const auto answer = std::make_shared<std::promise<absl::Status>>();
    checkpointer_->Submit(
        Missing(), [answer](Checkpointer::Outcome outcome) { answer->set_value(outcome.stored.status()); });
    return answer->get_future().get();
  }
  void Put(const std::string& name) { ASSERT_TRUE(place_.Open()->Put(name, "content").ok()); }

  const PartitionKey key_ = {"j", "0123456789abcdef", SegmentId(1), PartitionId(2)};
  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  MemoryBlobPlace place_;
  Metrics metrics_;
  std::atomic<bool> may_act_{true};
  std::unique_ptr<Checkpointer> checkpointer_;
};

TEST_F(CheckpointerTest, ForgetsTheCheckpointsOfOnePartitionAndNoOthers) {
  Put("0123456789abcdef/1-2/files/00000000000000000001-000004.sst");
  Put("0123456789abcdef/1-2/manifests/00000000000000000001-00000000000000000009.json");
  Put("0123456789abcdef/1-20/files/00000000000000000001-000004.sst");
  Put("fedcba9876543210/1-2/files/00000000000000000001-000004.sst");
  checkpointer_->Forget({key_.uid, key_.segment, key_.partition});
  EXPECT_FALSE(Submit().ok());
  EXPECT_THAT(place_.Names(), ElementsAre("0123456789abcdef/1-20/files/00000000000000000001-000004.sst",
                                          "fedcba9876543210/1-2/files/00000000000000000001-000004.sst"));
}

TEST_F(CheckpointerTest, AStoreThatIsAwayIsAnAnswerAndNoReasonToStop) {
  place_.FailAfter(0);
  EXPECT_TRUE(absl::IsUnavailable(Submit()));
  checkpointer_->Forget({key_.uid, key_.segment, key_.partition});
  EXPECT_TRUE(absl::IsUnavailable(Submit()));
  EXPECT_THAT(metrics_.Text(), testing::HasSubstr("millrace_checkpoint_failures_total 2"));
}

TEST_F(CheckpointerTest, WithoutALeaseNothingIsPut) {
  may_act_ = false;
  EXPECT_TRUE(absl::IsFailedPrecondition(Submit()));
  EXPECT_THAT(place_.Names(), IsEmpty());
}

TEST_F(CheckpointerTest, WhatStillWaitsAtTheEndIsDropped) {
  checkpointer_->BeginStop();
  EXPECT_TRUE(absl::IsCancelled(Submit()));
  checkpointer_->Stop();
  EXPECT_TRUE(checkpointer_->idle());
}

}  // namespace
}  // namespace millrace
