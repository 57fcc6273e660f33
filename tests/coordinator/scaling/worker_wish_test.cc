#include "coordinator/scaling/worker_wish.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr size_t kModelPartitions = 16;
constexpr double kRecordTime = 1e-3;  // of a lane: a lane does a thousand a second
constexpr absl::Duration kLookEvery = absl::Seconds(5);
constexpr absl::Duration kModelQuiet = absl::Minutes(5);

ScalingOptions ModelOptions() {
  ScalingOptions options;
  options.max_workers = 12;
  options.quiet = kModelQuiet;
  return options;
}

// A cluster with one job, second after second: what arrives, and what its lanes get done of it.
class WorkModel {
 public:
  explicit WorkModel(size_t w) : workers(w), lag(kModelPartitions, 0), taken(kModelPartitions, 0) {}

  // A second in which so many records arrive at each partition.
  void Pass(const std::vector<double>& arriving) {
    for (size_t w = 0; w < workers; ++w) Work(w, arriving);
    last_arriving = arriving;
    now += absl::Seconds(1);
  }
  ClusterLoad Load() const {
    ClusterLoad load;
    load.partitions = kModelPartitions;
    load.joined = workers;
    load.whole = whole;
    JobLoad& job = load.jobs.emplace_back();
    job.uid = "aa";
    for (size_t p = 0; p < kModelPartitions; ++p) {
      const double busy = pool_rate > 0 ? 0.01 : taken[p] * kRecordTime;
      job.partitions.push_back({"w" + std::to_string(p % workers), busy, taken[p], last_arriving[p], lag[p]});
    }
    return load;
  }

  size_t workers;
  bool whole = true;
  double pool_rate = 0;  // of a worker, where its handlers do the work
  absl::Duration now = absl::Hours(1);
  std::vector<double> lag, taken, last_arriving;

 private:
  // A worker has one lane, which its partitions share by turns.
  void Work(size_t worker, const std::vector<double>& arriving) {
    double left = pool_rate > 0 ? pool_rate : 1 / kRecordTime;
    size_t others = (kModelPartitions - worker + workers - 1) / workers;
    for (size_t p = worker; p < kModelPartitions; p += workers, --others) {
      const double there = lag[p] + arriving[p];
      taken[p] = std::min(there, left / static_cast<double>(others));
      lag[p] = there - taken[p];
      left -= taken[p];
    }
  }
};

class WorkerWishTest : public testing::Test {
 protected:
  // So long, each partition having so much to do; workers come and go as they are wished, at once.
  void Run(absl::Duration time, const std::vector<double>& arriving) {
    for (const absl::Duration end = model_.now + time; model_.now < end;) {
      for (int s = 0; s < absl::ToInt64Seconds(kLookEvery); ++s) model_.Pass(arriving);
      const size_t wanted = wish_.Next(model_.Load(), model_.now);
      if (!wished_.empty() && wanted < wished_.back()) ++lowered_;
      if (!wished_.empty() && wanted > wished_.back()) ++raised_;
      wished_.push_back(wanted);
      model_.workers = wanted;
    }
  }
  static std::vector<double> Each(double lanes) {
    return std::vector<double>(kModelPartitions, lanes / kRecordTime / kModelPartitions);
  }
  size_t wanted() const { return wished_.back(); }

  WorkModel model_{1};
  WorkerWish wish_{ModelOptions()};
  std::vector<size_t> wished_;
  int raised_ = 0, lowered_ = 0;
};

TEST_F(WorkerWishTest, RisesWithARampAndFallsAfterAQuietTime) {
  Run(absl::Minutes(2), Each(0.5));
  EXPECT_EQ(wanted(), 1u);
  for (double lanes = 0.5; lanes <= 5; lanes += 0.5) Run(absl::Minutes(1), Each(lanes));
  EXPECT_GE(wanted(), 8u) << "5 lanes at 70 percent";
  EXPECT_LE(wanted(), 9u);
  EXPECT_EQ(model_.lag, std::vector<double>(kModelPartitions, 0));
  EXPECT_EQ(lowered_, 0);

  Run(kModelQuiet - kLookEvery, Each(0.5));
  EXPECT_GE(wanted(), 8u) << "not yet";
  Run(kLookEvery * 2, Each(0.5));
  EXPECT_LE(wanted(), 5u) << "by half at most";
  EXPECT_GE(wanted(), 4u);
  Run(3 * kModelQuiet, Each(0.5));
  EXPECT_EQ(wanted(), 1u);
}

TEST_F(WorkerWishTest, ABurstIsAnsweredWithinALookOrTwoByTwiceWhatThereIs) {
  Run(absl::Minutes(1), Each(0.5));
  Run(2 * kLookEvery, Each(6));
  EXPECT_EQ(wanted(), 2u);
  Run(kLookEvery, Each(6));
  EXPECT_EQ(wanted(), 4u);
  Run(absl::Minutes(3), Each(6));
  EXPECT_GE(wanted(), 9u);
  for (const double lag : model_.lag) EXPECT_FALSE(lag > 10 * Each(6)[0]) << "worked off";
}

TEST_F(WorkerWishTest, AGustIsNoBurst) {
  Run(absl::Minutes(1), Each(0.5));
  Run(kLookEvery, Each(3));
  Run(absl::Minutes(1), Each(0.5));
  EXPECT_EQ(raised_, 0);
}

TEST_F(WorkerWishTest, OneHotPartitionAsksForNoMoreThanItCanUse) {
  std::vector<double> arriving = Each(0.2);
  arriving[3] = 5 / kRecordTime;  // five lanes' work, and it is on one
  Run(absl::Minutes(20), arriving);
  EXPECT_LE(wanted(), 2u);
  EXPECT_GT(model_.lag[3], 0) << "it is late all the same";
}

TEST_F(WorkerWishTest, LoadThatSwaysDoesNotMakeWorkersComeAndGo) {
  for (int i = 0; i < 40; ++i) {
    Run(absl::Minutes(1), Each(2.9));
    Run(absl::Minutes(1), Each(0.5));
  }
  EXPECT_EQ(lowered_, 0) << "lulls are shorter than the quiet time";
  Run(absl::Minutes(30), Each(2.05));
  const int raised = raised_, lowered = lowered_;
  for (int i = 0; i < 20; ++i) {
    Run(absl::Minutes(8), Each(2.05));
    Run(absl::Minutes(8), Each(2.13));
  }
  EXPECT_EQ(raised_ - raised + lowered_ - lowered, 0)
      << "2.05 lanes need three workers, 2.13 four: within the tolerance";
}

TEST_F(WorkerWishTest, NeverAsksForMoreThanPartitionsCanUseOrBoundsAllow) {
  Run(absl::Minutes(10), Each(16));
  EXPECT_EQ(wanted(), 12u) << "the bound";
  ScalingOptions options = ModelOptions();
  options.max_workers = 100;
  WorkerWish unbounded(options);
  ClusterLoad load = model_.Load();
  load.joined = 90;
  load.lanes = 4;
  for (PartitionLoad& partition : load.jobs[0].partitions) {
    partition = {"w0", 1, 1000, 9000, 1e6};
  }
  unbounded.Next(load, absl::ZeroDuration());
  load.joined = 1;
  WorkerWish fresh(options);
  load.joined = 20;
  fresh.Next(load, absl::ZeroDuration());
  EXPECT_EQ(fresh.Next(load, kLookEvery), 20u) << "those that are there";
  load.joined = 4;
  WorkerWish four(options);
  four.Next(load, absl::ZeroDuration());
  EXPECT_EQ(four.Next(load, kLookEvery), 4u) << "16 partitions keep 4 workers of 4 lanes busy";
}

TEST_F(WorkerWishTest, ANewLeaderLetsNobodyGoAtOnce) {
  model_.workers = 6;
  Run(kLookEvery, Each(0.1));
  EXPECT_EQ(wanted(), 6u);
  // Two more join that the leader before had wished for.
  model_.workers = 8;
  EXPECT_EQ(wish_.Next(model_.Load(), model_.now), 8u);
  model_.workers = 8;
  Run(kModelQuiet - absl::Seconds(30), Each(0.1));
  EXPECT_EQ(wanted(), 8u);
  Run(kModelQuiet, Each(0.1));
  EXPECT_EQ(wanted(), 4u);
}

TEST_F(WorkerWishTest, HoldsWhileItDoesNotKnowAll) {
  Run(absl::Minutes(3), Each(2.5));
  const size_t before = wanted();
  EXPECT_EQ(before, 4u);
  model_.whole = false;
  Run(3 * kModelQuiet, Each(0.5));
  EXPECT_EQ(wanted(), before) << "what is not known may be work";
  model_.whole = true;
  Run(3 * kModelQuiet, Each(0.5));
  EXPECT_EQ(wanted(), 1u);
}

TEST_F(WorkerWishTest, WithoutAWorkerItWishesForTheLeast) {
  ClusterLoad load;
  load.partitions = kModelPartitions;
  EXPECT_EQ(wish_.Next(load, absl::ZeroDuration()), 1u);
}

TEST_F(WorkerWishTest, WithoutAJobItFallsToTheLeast) {
  model_.workers = 8;
  Run(kLookEvery, Each(1));
  ClusterLoad idle;
  idle.whole = true;
  idle.joined = 8;
  for (int i = 0; i < 400; ++i) wish_.Next(idle, model_.now += kLookEvery);
  EXPECT_EQ(wish_.wanted(), 1u);
}

// A worker's handlers do 400 records a second; its lanes hardly do anything.
TEST_F(WorkerWishTest, WhatWaitsForHandlersIsJudgedByWhatMoreWorkersGetDone) {
  model_.pool_rate = 400;
  Run(absl::Minutes(5), Each(1));
  EXPECT_GE(wanted(), 3u);
  EXPECT_LE(wanted(), 6u);
  Run(absl::Minutes(20), Each(1));
  EXPECT_EQ(model_.lag, std::vector<double>(kModelPartitions, 0));
  EXPECT_GE(wanted(), 3u) << "1000 a second need three";
  const int raised = raised_;
  Run(absl::Minutes(60), Each(1));
  EXPECT_EQ(raised_, raised) << "it knows what a worker gets done, and does not try with fewer";
  Run(absl::Minutes(30), Each(0.1));
  EXPECT_EQ(wanted(), 1u);
}

// A service takes 400 records a second from all workers together.
TEST_F(WorkerWishTest, WorkersThatGetNoMoreDoneAreNotAddedTo) {
  for (int look = 0; look < 240; ++look) {
    model_.pool_rate = 400.0 / static_cast<double>(model_.workers);
    Run(kLookEvery, Each(1));
  }
  EXPECT_LE(*std::max_element(wished_.begin(), wished_.end()), 4u);
  EXPECT_LE(raised_, 2);
  EXPECT_LE(wanted(), 2u) << "one does as well as several";
}

}  // namespace
}  // namespace millrace
