// A cluster for one interleaving that is known to break systems of this kind: the test decides what happens
// when, the oracle whether all was right.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/outside_reader.h"

namespace millrace::sim {

class InterleavingTest : public testing::Test {
 protected:
  static constexpr absl::Duration kLimit = absl::Seconds(120);  // of virtual time

  InterleavingTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-interleaving-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    options_.workers = 2;
    options_.ledger.partitions = 1;
    options_.ledger.records = 300;
    options_.frame_records = 4;
    options_.feed_pause = absl::Milliseconds(200);
  }
  ~InterleavingTest() override {
    SetFailpointHandler(nullptr);
    cluster_.reset();
    std::filesystem::remove_all(folder_);
  }

  Cluster& Begin(uint64_t seed = 1) {
    options_.seed = seed;
    cluster_.reset();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.folder = folder_;
    cluster_ = std::make_unique<Cluster>(options_);
    cluster_->Start();
    return *cluster_;
  }
  Kernel& kernel() { return cluster_->kernel(); }
  // The first time that somebody passes the failpoint and `when` agrees, `what` happens, on its stack.
  void AtFailpoint(const std::string& point, std::function<bool(Process&)> when, std::function<void()> what) {
    SetFailpointHandler([this, point, when = std::move(when), what = std::move(what),
                         passed = false](const char* name) mutable {
      Task* const task = kernel().current();
      if (passed || task == nullptr || task->unwinding || point != name || !when(task->process)) return;
      passed = true;
      what();
    });
  }
  bool Until(const std::function<bool()>& done) { return kernel().RunUntil(done, kLimit); }
  void Pass(absl::Duration time) {
    kernel().RunUntil([] { return false; }, time);
  }

  uint64_t ResultMessages() { return LastOf(ResultStream(kJobName, PartitionId(0))); }
  uint64_t LastOf(const std::string& stream) {
    const absl::StatusOr<StreamInfo> info = cluster_->network().direct().GetStream(stream);
    return info.ok() ? info->last_sequence : 0;
  }
  // Headers of a stream, in order.
  std::vector<OutsideHeader> Headers(const std::string& stream) {
    std::vector<OutsideHeader> headers;
    const uint64_t last = LastOf(stream);
    for (uint64_t sequence = 1; sequence <= last; ++sequence) {
      const absl::StatusOr<Message> message = cluster_->network().direct().GetMessage(stream, sequence);
      if (!message.ok()) continue;
      if (const auto header = ReadOutsideHeader(message->header); header.has_value())
        headers.push_back(*header);
    }
    return headers;
  }
  std::vector<OutsideHeader> Results() { return Headers(ResultStream(kJobName, PartitionId(0))); }
  // Results of an epoch below one that stands before them.
  uint64_t StaleResults() {
    uint64_t greatest = 0, stale = 0;
    for (const OutsideHeader& header : Results()) {
      greatest = std::max(greatest, header.epoch);
      if (header.kind == 'r' && header.epoch < greatest) ++stale;
    }
    return stale;
  }
  uint64_t GreatestEpoch() {
    uint64_t greatest = 0;
    for (const OutsideHeader& header : Results()) greatest = std::max(greatest, header.epoch);
    return greatest;
  }
  void ExpectRightEnd() {
    EXPECT_TRUE(Until([&] { return cluster_->Ended() || !cluster_->oracle().failure().empty(); }))
        << "no end within the bound";
    Pass(absl::Seconds(5));
    cluster_->oracle().CheckEnd();
    cluster_->CheckDisks();
    EXPECT_EQ(cluster_->oracle().failure(), "");
    ASSERT_TRUE(cluster_->Final().has_value());
    EXPECT_EQ(cluster_->Final()->state, "completed");
  }

  ClusterOptions options_;
  std::string folder_;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace millrace::sim
