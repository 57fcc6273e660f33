// The whole way of a copy's records: an ingest that reads the old logs and feeds the new ones.
#include <map>
#include <random>

#include "common/cluster/documents.h"
#include "common/frame/writer_cursors.h"
#include "common/partitioner.h"
#include "coordinator/ingest/ingest.h"
#include "coordinator/ingest/rejected_line.h"
#include "gmock/gmock.h"
#include "tests/coordinator/copy/copy_fixture.h"
#include "tests/support/append_trouble.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kNewJob[] = "new";
constexpr char kNewUid[] = "00000000000000bb";
constexpr uint32_t kNewPartitions = 5;

class CopyIngestTest : public CopyFixture {
 protected:
  struct Process {
    std::unique_ptr<MemoryBus> bus;
    std::unique_ptr<CopyInput> input;
    std::unique_ptr<KeyExtractor> extractor;
    std::unique_ptr<Ingest> ingest;

    void Step() {
      ingest->Pump();
      std::vector<BusEvent> events;
      bus->Poll(absl::ZeroDuration(), 3, &events);
      for (BusEvent& event : events) {
        if (!input->Handle(event)) ingest->Handle(event);
      }
    }
  };

  // Records that count their key's, in frames at random, with strangers and a second reading of what is there.
  void WriteOld(std::mt19937& random) {
    for (uint32_t p = 0; p < 3; ++p) broker_.DeleteStream(OldJob::Stream(p));
    OldJob& old = MakeOld(3);
    counts_.clear();
    for (int i = 0; i < 60; ++i) {
      const std::string key = StrCat("key-", random() % 9);
      const uint32_t p = PartitionOf(key, 3).value();
      if (random() % 3 != 0) Wait();
      if (random() % 8 == 0) {
        old.PutStranger(p, StrCat(R"({"k":")", key, R"(","n":)", counts_[key]++, "}"));
        continue;
      }
      std::vector<OldRecord> records;
      for (uint32_t n = random() % 4; n > 0; --n) records.push_back({key, StrCat(counts_[key]++)});
      old.Put(p, records);
    }
    old.EndAll();
    logs_ = old.Logs();
  }
  void ResetNew() {
    for (const char* bucket : {kEpochsBucket, kAssignmentsBucket}) {
      broker_.DeleteStream(BucketStream(bucket));
      EXPECT_TRUE(admin_->CreateBucket(bucket).ok());
    }
    Make(DeadLetterStream(kNewJob), DeadLetterSubjects(kNewJob));
    for (uint32_t p = 0; p < kNewPartitions; ++p) {
      Make(InputStream(kNewJob, kFirstSegment, PartitionId(p)),
           InputSubject(kNewJob, kFirstSegment, PartitionId(p)));
    }
  }
  void Make(const std::string& name, const std::string& subject) {
    broker_.DeleteStream(name);
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    EXPECT_TRUE(admin_->CreateStream(config).ok());
  }
  Process Start(NewKey key = Key()) {
    Process process;
    process.bus = broker_.Connect();
    process.input = std::make_unique<CopyInput>(kOldUid, logs_, OldKeys(), std::move(key), *process.bus);
    JobSpec spec;
    spec.key.paths = {"k"};
    process.extractor = *KeyExtractor::Create(spec);
    IngestOptions options;
    options.job = kNewJob;
    options.uid = kNewUid;
    options.partitions = kNewPartitions;
    options.claimer = StrCat("claimer-", ++started_);
    options.max_frame_records = 3;
    options.append.ack_deadline = absl::Seconds(2);
    process.ingest =
        std::make_unique<Ingest>(options, *process.bus, clock_, *process.input, *process.extractor);
    return process;
  }
  void Finish(Process& process) {
    for (int i = 0; i < 5000 && !process.ingest->done(); ++i) {
      process.Step();
      clock_.Advance(absl::Milliseconds(10));
    }
    EXPECT_EQ(process.ingest->status(), absl::OkStatus());
    EXPECT_EQ(process.ingest->phase(), Ingest::Phase::kDone);
  }
  Message LastMessage(const std::string& stream) {
    return *admin_->GetMessage(stream, admin_->GetStream(stream)->last_sequence);
  }
  void ExpectEachRecordOnceInItsKeysOrder() {
    std::map<std::string, int> taken;
    for (uint32_t p = 0; p < kNewPartitions; ++p) {
      WriterCursors cursors(kNewUid);
      const std::string stream = InputStream(kNewJob, kFirstSegment, PartitionId(p));
      const uint64_t last = admin_->GetStream(stream)->last_sequence;
      for (uint64_t n = 1; n <= last; ++n) {
        const auto message = admin_->GetMessage(stream, n);
        if (cursors.Offer(*ParseMessageHeader(message->header)) != WriterCursors::Verdict::kTake) continue;
        const FrameView frame = *FrameView::Parse(message->payload);
        RecordView record;
        for (auto at = frame.records(); at.Next(&record);) {
          const std::string key(record.key);
          EXPECT_EQ(PartitionOf(key, kNewPartitions), PartitionId(p));
          const int count = taken[key]++;
          if (record.shape == kRawShape) {
            EXPECT_EQ(record.value, StrCat(count)) << key;
          } else {
            EXPECT_THAT(RejectedText(record), HasSubstr(StrCat("\"n\":", count))) << key;
          }
        }
      }
      EXPECT_TRUE(cursors.Get(kIngestWriter).ended);
    }
    std::erase_if(counts_, [](const auto& entry) { return entry.second == 0; });
    EXPECT_EQ(taken, counts_);
  }

  std::map<std::string, int> counts_;
  std::vector<CopiedLog> logs_;
  int started_ = 0;
};

TEST_F(CopyIngestTest, HoldsWithKillsLostAppendsAndLostAcksInAnyOrder) {
  for (uint32_t seed = 1; seed <= 150 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    std::mt19937 random(seed);
    WriteOld(random);
    ResetNew();
    for (uint32_t kills = random() % 4; kills > 0; --kills) {
      Process process = Start();
      for (uint32_t steps = random() % 80; steps > 0 && !process.ingest->done(); --steps) {
        DisturbAtRandom(random, clock_, *process.bus);
        process.Step();
      }
    }
    Process last = Start();
    Finish(last);
    ExpectEachRecordOnceInItsKeysOrder();
  }
}

TEST_F(CopyIngestTest, EventTimeComesToItsEndInEveryPartition) {
  OldJob& old = MakeOld(2);
  old.Put(0, {{"a", "1", 100}}, 300);
  old.Put(1, {{"b", "2", 200}}, 700);
  old.EndAll();
  logs_ = old.Logs();
  ResetNew();
  Process process = Start();
  Finish(process);
  for (uint32_t p = 0; p < kNewPartitions; ++p) {
    const Message end = LastMessage(InputStream(kNewJob, kFirstSegment, PartitionId(p)));
    EXPECT_EQ(ParseMessageHeader(end.header)->kind, FrameKind::kEnd);
    EXPECT_EQ(FrameView::Parse(end.payload)->watermark_ms(), 700) << p;
  }
}

TEST_F(CopyIngestTest, ARecordWithoutTheNewKeyIsADeadLetter) {
  OldJob& old = MakeOld(1);
  old.Put(0, {{"a", "xyz"}, {"a", "no key"}});
  old.EndAll();
  logs_ = old.Logs();
  ResetNew();
  Process process = Start(Key("r == 'xyz' and r or nil"));
  Finish(process);
  EXPECT_EQ(process.ingest->rejected(), 1u);
  const Message letter = LastMessage(DeadLetterStream(kNewJob));
  EXPECT_THAT(letter.payload, testing::AllOf(HasSubstr(R"("id":"in.1")"), HasSubstr(R"("value":"no key")")));
}

}  // namespace
}  // namespace millrace
