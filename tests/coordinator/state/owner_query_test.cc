#include "coordinator/state/owner_query.h"

#include "common/names.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAreArray;
using Json = nlohmann::ordered_json;

constexpr PartitionId kAsked(0);

// A worker that owns the partition and answers as the test says.
class OwnerQueryTest : public testing::Test {
 protected:
  OwnerQueryTest() {
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket}) {
      EXPECT_TRUE(bus_->CreateBucket(bucket).ok());
    }
    job_.name = "j";
    job_.uid = "u1";
    job_.partitions = 1;
    WorkerLease lease;
    lease.name = "w1";
    lease.incarnation = "i1";
    lease.state = "ready";
    PartitionReport report;
    report.uid = "u1";
    report.epoch = 1;
    lease.partitions = {report};
    EXPECT_TRUE(bus_->PutKey(kWorkersBucket, "w.w1", Encode(lease)).ok());
    EXPECT_TRUE(worker_
                    ->Serve(WorkerSubject("i1"),
                            [this](const Bus::Incoming& question) {
                              asked_.push_back(Json::parse(question.payload));
                              EXPECT_TRUE(
                                  worker_->Reply(question.reply_to, JsonText(Answer(asked_.back()))).ok());
                            })
                    .ok());
  }

  // Two rows a page.
  Json Answer(const Json& question) const {
    Json answer = {{"ok", true}, {"offset", 7}, {"rows", Json::array()}};
    if (question["verb"] == "get") {
      answer["value"] = TakeBytes(question, "key") == held_.back() ? "found" : "another key";
      return answer;
    }
    size_t at = question.contains("cursor") ? std::stoul(question["cursor"].get<std::string>()) : 0;
    const size_t end = std::min(at + 2, held_.size());
    for (; at < end; ++at) {
      Json row = {{"value", at}};
      PutBytes(row, "key", held_[at]);
      answer["rows"].push_back(row);
    }
    if (at < held_.size()) answer["next"] = StrCat(at);
    return answer;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  std::unique_ptr<MemoryBus> worker_ = broker_.Connect();
  JobRecord job_;
  std::vector<std::string> held_;
  std::vector<Json> asked_;
};

TEST_F(OwnerQueryTest, AsksForAKeyThatIsNoUtf8) {
  held_ = {"\xff"};
  const auto row = GetFromOwner(*bus_, clock_, job_, kFirstSegment, kAsked, "\xff");
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->value, "found");
  EXPECT_EQ(row->offset, 7u);
}

TEST_F(OwnerQueryTest, ScansPageByPageWhateverTheKeysAre) {
  held_ = {"a", "b\xff", "b\xff\xff", "c", "d\xfe"};
  const auto rows = ScanOwner(*bus_, clock_, job_, kFirstSegment, kAsked, "", 100);
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> keys;
  for (const OwnerRow& row : *rows) keys.push_back(row.key);
  EXPECT_THAT(keys, ElementsAreArray(held_));
  EXPECT_EQ(asked_.size(), 3u);
}

TEST_F(OwnerQueryTest, AnAnswerOfAnotherFormIsAnError) {
  EXPECT_TRUE(worker_
                  ->Serve(WorkerSubject("i1"),
                          [this](const Bus::Incoming& question) {
                            const char* answer = R"({"ok":true,"offset":7,"rows":[{"key":3,"value":1}]})";
                            EXPECT_TRUE(worker_->Reply(question.reply_to, answer).ok());
                          })
                  .ok());
  EXPECT_TRUE(absl::IsInternal(ScanOwner(*bus_, clock_, job_, kFirstSegment, kAsked, "", 100).status()));
  EXPECT_TRUE(absl::IsInternal(GetFromOwner(*bus_, clock_, job_, kFirstSegment, kAsked, "k").status()));
}

}  // namespace
}  // namespace millrace
