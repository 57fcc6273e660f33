#include "worker/checkpoint/log_trimmer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/checkpoint/manifest.h"
#include "common/cluster/key_view.h"
#include "common/cluster/log_begin.h"
#include "common/names.h"
#include "common/strings.h"
#include "tests/support/memory_blob_store.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LogTrimmerTest : public testing::Test {
 protected:
  static constexpr size_t kKeep = 2;

  LogTrimmerTest() {
    EXPECT_TRUE(bus_->CreateBucket(kEpochsBucket).ok());
    MakeLog(key_.uid);
    trimmer_ = NewTrimmer();
  }
  std::unique_ptr<LogTrimmer> NewTrimmer() {
    return std::make_unique<LogTrimmer>(*bus_, *store_, key_, kKeep);
  }
  // Of twenty messages.
  void MakeLog(const std::string& uid) {
    broker_.DeleteStream(key_.input_stream());
    StreamConfig config;
    config.name = key_.input_stream();
    config.subjects = {key_.input_subject()};
    config.description = StreamDescription(uid);
    EXPECT_TRUE(bus_->CreateStream(config).ok());
    const std::string subject = key_.input_subject();
    AppendRequest request;
    request.subject = subject;
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(bus_->AppendAndWait(request).ok());
  }
  // A manifest in the store; its cursors tell the offset.
  CheckpointId Checkpoint(uint64_t epoch, uint64_t offset) {
    CheckpointManifest manifest;
    manifest.id = {Epoch(epoch), Offset(offset)};
    manifest.job = key_.job;
    manifest.commit.uid = key_.uid;
    manifest.commit.segment = key_.segment;
    manifest.commit.partition = key_.partition;
    manifest.commit.offset = Offset(offset);
    manifest.commit.epoch = Epoch(epoch);
    WriterCursors cursors(key_.uid);
    cursors.Restore("in", {Epoch(1), {offset * 100, 0}, offset});
    manifest.commit.input_cursors = cursors.Encode();
    manifest.files = {{"CURRENT", StrCat(epoch, "-", offset, "-CURRENT"), 1, std::string(64, 'a')}};
    EXPECT_TRUE(store_->Put(layout_.Manifest(manifest.id), EncodeManifest(manifest)).ok());
    return manifest.id;
  }
  uint64_t LogBegins() { return bus_->GetStream(key_.input_stream())->first_sequence; }
  std::vector<uint64_t> Notes() {
    std::vector<uint64_t> offsets;
    const auto epochs = *ReadBucket(*bus_, kEpochsBucket);
    for (const auto& [name, entry] : epochs) {
      if (!entry.deleted) offsets.push_back(DecodeLogBegin(entry.value)->offset.value());
    }
    return offsets;
  }

  const PartitionKey key_{"delays", "0123456789abcdef", SegmentId(0), PartitionId(3)};
  const CheckpointLayout layout_{key_.uid, key_.segment, key_.partition};
  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  MemoryBlobPlace place_;
  std::unique_ptr<BlobStore> store_ = place_.Open();
  std::unique_ptr<LogTrimmer> trimmer_;
};

TEST_F(LogTrimmerTest, DeletesWhatEveryKeptCheckpointHasPassedAndNotesHowFarWritersHadCome) {
  ASSERT_EQ(trimmer_->Trim({Checkpoint(1, 15), Checkpoint(1, 9)}), absl::OkStatus());
  EXPECT_EQ(LogBegins(), 9u) << "the commit's own message stays";
  ASSERT_THAT(Notes(), ElementsAre(9));
  const auto begins = ReadLogBegins(*bus_, key_.uid, key_.segment, 4);
  ASSERT_TRUE(begins.ok()) << begins.status();
  EXPECT_FALSE((*begins)[2].has_value());
  ASSERT_TRUE((*begins)[3].has_value());
  EXPECT_EQ((*begins)[3]->cursors.Get("in").mark, (Mark{900, 0}));
}

TEST_F(LogTrimmerTest, DeletesNothingWhileCheckpointsAreMissing) {
  ASSERT_EQ(trimmer_->Trim({Checkpoint(1, 15)}), absl::OkStatus());
  ASSERT_EQ(trimmer_->Trim({}), absl::OkStatus());
  EXPECT_EQ(LogBegins(), 1u);
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(LogTrimmerTest, ALaterOwnerThatBeganFurtherBackKeepsWhatItNeeds) {
  ASSERT_EQ(trimmer_->Trim({Checkpoint(2, 6), Checkpoint(1, 17)}), absl::OkStatus());
  EXPECT_EQ(LogBegins(), 6u);
}

TEST_F(LogTrimmerTest, OneNoteIsLeftAlsoOfThoseOfEarlierOwners) {
  ASSERT_EQ(trimmer_->Trim({Checkpoint(1, 7), Checkpoint(1, 4)}), absl::OkStatus());
  ASSERT_EQ(trimmer_->Trim({Checkpoint(1, 9), Checkpoint(1, 7)}), absl::OkStatus());
  EXPECT_THAT(Notes(), ElementsAre(7));
  trimmer_ = NewTrimmer();
  ASSERT_EQ(trimmer_->Trim({Checkpoint(2, 12), Checkpoint(1, 9)}), absl::OkStatus());
  EXPECT_THAT(Notes(), ElementsAre(9));
  EXPECT_EQ(LogBegins(), 9u);
}

TEST_F(LogTrimmerTest, AnOwnerThatDiedBehindItsNoteIsGoneOnFrom) {
  const std::vector<CheckpointId> kept = {Checkpoint(1, 15), Checkpoint(1, 9)};
  ASSERT_EQ(trimmer_->Trim(kept), absl::OkStatus());
  MakeLog(key_.uid);  // as if nothing had been deleted yet
  trimmer_ = NewTrimmer();
  ASSERT_EQ(trimmer_->Trim(kept), absl::OkStatus());
  EXPECT_EQ(LogBegins(), 9u);
  EXPECT_THAT(Notes(), ElementsAre(9));
}

TEST_F(LogTrimmerTest, AnotherJobsStreamIsLeftAlone) {
  MakeLog("fedcba9876543210");
  EXPECT_TRUE(absl::IsFailedPrecondition(trimmer_->Trim({Checkpoint(1, 15), Checkpoint(1, 9)})));
  EXPECT_EQ(LogBegins(), 1u);
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(LogTrimmerTest, ADamagedManifestDeletesNothing) {
  const std::vector<CheckpointId> kept = {Checkpoint(1, 15), Checkpoint(1, 9)};
  place_.FlipBit(layout_.Manifest(kept[1]), 50);
  EXPECT_TRUE(absl::IsDataLoss(trimmer_->Trim(kept)));
  EXPECT_EQ(LogBegins(), 1u);
}

}  // namespace
}  // namespace millrace
