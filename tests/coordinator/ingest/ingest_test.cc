#include "coordinator/ingest/ingest.h"

#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "common/cluster/documents.h"
#include "common/cluster/log_begin.h"
#include "common/frame/writer_cursors.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "coordinator/ingest/input_reader.h"
#include "coordinator/ingest/rejected_line.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/append_trouble.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr char kJob[] = "j";
constexpr char kUid[] = "0123456789abcdef";
constexpr uint32_t kPartitions = 3;
constexpr SegmentId kSegment(0);

// An ingest with a connection and an input of its own: a process that can be killed.
struct Process {
  std::unique_ptr<MemoryBus> bus;
  std::unique_ptr<InputReader> input;
  std::unique_ptr<KeyExtractor> extractor;
  std::unique_ptr<Ingest> ingest;

  void Step() {
    ingest->Pump();
    std::vector<BusEvent> events;
    bus->Poll(absl::ZeroDuration(), 3, &events);
    for (const BusEvent& event : events) ingest->Handle(event);
  }
};

class IngestTest : public testing::Test {
 protected:
  IngestTest() : broker_(clock_), admin_(broker_.Connect()) {
    std::string pattern = testing::TempDir() + "/ingest-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    Reset();
  }
  ~IngestTest() override { std::filesystem::remove_all(folder_); }

  // Empty streams and buckets, as submit makes them.
  void Reset() {
    archive_.clear();
    for (const char* bucket : {kEpochsBucket, kAssignmentsBucket}) {
      broker_.DeleteStream(StrCat("KV_", bucket));
      EXPECT_TRUE(admin_->CreateBucket(bucket).ok());
    }
    Make(DeadLetterStream(kJob), DeadLetterSubjects(kJob), absl::Minutes(2));
    for (uint32_t p = 0; p < kPartitions; ++p) MakeInput(p);
  }
  void MakeInput(uint32_t p) {
    Make(InputStream(kJob, kSegment, PartitionId(p)), InputSubject(kJob, kSegment, PartitionId(p)),
         absl::Seconds(1));
  }
  void Make(const std::string& name, const std::string& subject, absl::Duration window) {
    broker_.DeleteStream(name);
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    config.duplicate_window = window;
    EXPECT_TRUE(admin_->CreateStream(config).ok());
  }

  void WriteInput(const std::vector<std::string>& lines) {
    std::ofstream file(folder_ + "/in", std::ios::binary);
    for (const std::string& line : lines) file << line << "\n";
  }

  // A compressed input stands for a pipe: neither is told from another by its size.
  void WriteStream(const std::vector<std::string>& lines) {
    gzFile file = gzopen((folder_ + "/in").c_str(), "wb");
    for (const std::string& line : lines) gzputs(file, (line + "\n").c_str());
    gzclose(file);
  }
  // Feeds for so long that it notes what it has read, and is killed when all but the last partition ended.
  void FeedAndDieBeforeTheLastEndMark() {
    Process first = Start();
    while (first.ingest->phase() != Ingest::Phase::kEnd) {
      first.Step();
      clock_.Advance(absl::Milliseconds(600));
    }
    ASSERT_EQ(Finish(first), absl::OkStatus());
    RollBackToTheEndMark(kPartitions - 1);
    ASSERT_TRUE(admin_->DeleteKey(kAssignmentsBucket, StrCat("fed.", kUid)).ok());
  }

  // The mark and whatever was sent again behind it were not written.
  void RollBackToTheEndMark(uint32_t partition) {
    const std::string stream = InputStream(kJob, kSegment, PartitionId(partition));
    for (const Message& message : ReadStream(stream)) {
      if (ParseMessageHeader(message.header)->kind != FrameKind::kEnd) continue;
      broker_.RollBack(stream, message.sequence - 1);
      return;
    }
    FAIL() << "partition " << partition << " has no end mark";
  }

  // Every seventh line is no record. Gives the keys of the others.
  std::vector<std::string> WriteMixedInput(int lines) {
    std::vector<std::string> text;
    std::vector<std::string> keys;
    for (int i = 0; i < lines; ++i) {
      if (i % 7 == 3) {
        text.push_back(i % 2 == 0 ? "{\"broken" : std::string(200, 'x'));
        continue;
      }
      keys.push_back(StrCat("key-", i));
      text.push_back(StrCat("{\"k\":\"key-", i, "\"}"));
    }
    WriteInput(text);
    return keys;
  }

  Process Start(const std::string& writer = kIngestWriter) {
    Process process;
    process.bus = broker_.Connect();
    InputOptions input;
    input.max_line_bytes = 100;
    process.input = *InputReader::Open({folder_ + "/in"}, input);
    JobSpec spec;
    spec.key.paths = {"k"};
    if (has_times_) spec.time = TimeSpec{"t", ""};
    process.extractor = *KeyExtractor::Create(spec);
    IngestOptions options;
    options.job = kJob;
    options.uid = kUid;
    options.writer = writer;
    options.partitions = kPartitions;
    options.trims_log = trims_log_;
    options.claimer = StrCat("claimer-", ++started_);
    options.max_frame_records = 3;
    options.append.ack_deadline = absl::Seconds(2);
    process.ingest =
        std::make_unique<Ingest>(options, *process.bus, clock_, *process.input, *process.extractor);
    return process;
  }

  absl::Status Finish(Process& process) {
    for (int i = 0; i < 5000 && !process.ingest->done(); ++i) {
      process.Step();
      clock_.Advance(absl::Milliseconds(10));
    }
    return process.ingest->done() ? process.ingest->status() : absl::DeadlineExceededError("still at work");
  }

  std::vector<Message> ReadStream(const std::string& stream) {
    const auto bus = broker_.Connect();
    std::vector<Message> messages = archive_[stream];
    ReaderOptions options;
    options.stream = stream;
    options.start_sequence = messages.size() + 1;
    options.window_messages = 1 << 20;
    options.window_bytes = 1 << 30;
    bus->OpenReader(options);
    std::vector<BusEvent> events;
    while (bus->Poll(absl::ZeroDuration(), 1000, &events) > 0) {
      for (BusEvent& event : events) {
        if (event.type == BusEvent::Type::kMessage) messages.push_back(std::move(event.message));
      }
      events.clear();
    }
    return messages;
  }

  // As the owner of a partition does that keeps results only; it may die before the log is deleted.
  void TrimAtRandom(std::mt19937& random) {
    const PartitionId partition(random() % kPartitions);
    const std::string stream = InputStream(kJob, kSegment, partition);
    const std::vector<Message> log = ReadStream(stream);
    std::vector<Message>& archive = archive_[stream];
    if (log.size() <= archive.size()) return;
    const size_t upto = archive.size() + 1 + random() % (log.size() - archive.size());
    WriterCursors cursors(kUid);
    for (size_t i = 0; i < upto; ++i) cursors.Offer(*ParseMessageHeader(log[i].header));
    const LogBegin begin = {Offset(upto), std::move(cursors)};
    admin_->CreateKey(kEpochsBucket, LogBeginKey(kUid, kSegment, partition, begin.offset), Encode(begin))
        .IgnoreError();  // there when it was noted before
    if (random() % 3 == 0 || upto == 1) return;
    broker_.Purge(stream, upto - 1);
    archive.assign(log.begin(), log.begin() + static_cast<ptrdiff_t>(upto) - 1);
  }

  // What a reader under R3 takes of a partition.
  struct Taken {
    std::vector<std::string> keys;  // of that writer
    WriterCursors::Cursor cursor;
    int64_t watermark_ms = kNoTime;  // the greatest that its frames carry
  };
  Taken Take(uint32_t partition, const std::string& writer = kIngestWriter) {
    Taken taken;
    WriterCursors cursors(kUid);
    for (const Message& message : ReadStream(InputStream(kJob, kSegment, PartitionId(partition)))) {
      const auto header = ParseMessageHeader(message.header);
      EXPECT_TRUE(header.ok());
      const bool ended = cursors.Get(header->writer).ended;
      if (cursors.Offer(*header) != WriterCursors::Verdict::kTake) continue;
      EXPECT_FALSE(ended && header->kind == FrameKind::kData) << "data behind the end mark";
      const auto frame = FrameView::Parse(message.payload);
      EXPECT_TRUE(frame.ok()) << frame.status();
      if (header->writer != writer) continue;
      taken.watermark_ms = std::max(taken.watermark_ms, frame->watermark_ms());
      RecordView record;
      for (auto cursor = frame->records(); cursor.Next(&record);) taken.keys.emplace_back(record.key);
    }
    taken.cursor = cursors.Get(writer);
    return taken;
  }

  void ExpectAllTakenOnce(const std::vector<std::string>& keys, uint64_t rejected,
                          const std::string& writer = kIngestWriter) {
    for (uint32_t p = 0; p < kPartitions; ++p) {
      std::vector<std::string> expected;
      for (const std::string& key : keys) {
        if (PartitionOf(key, kPartitions) == PartitionId(p)) expected.push_back(key);
      }
      const Taken taken = Take(p, writer);
      EXPECT_EQ(taken.keys, expected) << "partition " << p;
      EXPECT_TRUE(taken.cursor.ended) << "partition " << p;
      EXPECT_EQ(taken.cursor.records, expected.size()) << "partition " << p;
    }
    std::set<uint64_t> letters;
    for (const Message& message : ReadStream(DeadLetterStream(kJob))) {
      const auto letter = DecodeRejectedLine(kUid, writer, message.payload);
      if (letter.has_value()) letters.insert(letter->position);
    }
    EXPECT_EQ(letters.size(), rejected);
    const auto fed = admin_->GetKey(kAssignmentsBucket, FedKey(kUid, writer));
    ASSERT_TRUE(fed.ok());
    EXPECT_EQ(DecodeInputFed(fed->value)->records, keys.size());
    EXPECT_EQ(DecodeInputFed(fed->value)->rejected, rejected);
  }

  ManualClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> admin_;
  std::string folder_;
  int started_ = 0;
  bool trims_log_ = false;
  bool has_times_ = false;
  std::map<std::string, std::vector<Message>> archive_;  // what was trimmed from each stream
};

TEST_F(IngestTest, FeedsEveryRecordOnceAndEndsEveryPartition) {
  const auto keys = WriteMixedInput(70);
  Process process = Start();
  ASSERT_EQ(Finish(process), absl::OkStatus());
  ExpectAllTakenOnce(keys, 10);
}

TEST_F(IngestTest, EndsEveryPartitionOfAnEmptyInput) {
  WriteInput({});
  Process process = Start();
  ASSERT_EQ(Finish(process), absl::OkStatus());
  ExpectAllTakenOnce({}, 0);
}

TEST_F(IngestTest, GoesOnWhereTheStreamsSayAfterAKillAtAnyStep) {
  for (int kill_at = 0; kill_at < 60 && !HasFailure(); ++kill_at) {
    SCOPED_TRACE(kill_at);
    Reset();
    const auto keys = WriteMixedInput(50);
    {
      Process process = Start();
      for (int i = 0; i < kill_at && !process.ingest->done(); ++i) process.Step();
    }
    Process process = Start();
    ASSERT_EQ(Finish(process), absl::OkStatus());
    ExpectAllTakenOnce(keys, 7);
  }
}

TEST_F(IngestTest, HoldsWithKillsLostAppendsAndLostAcksInAnyOrder) {
  for (uint32_t seed = 1; seed <= 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Reset();
    std::mt19937 random(seed);
    const auto keys = WriteMixedInput(40);
    for (uint32_t kills = random() % 4; kills > 0; --kills) {
      Process process = Start();
      for (uint32_t steps = random() % 60; steps > 0 && !process.ingest->done(); --steps) {
        DisturbAtRandom(random, clock_, *process.bus);
        process.Step();
      }
    }
    Process last = Start();
    ASSERT_EQ(Finish(last), absl::OkStatus());
    ExpectAllTakenOnce(keys, 6);
  }
}

TEST_F(IngestTest, GoesOnWhereTheStreamsSayThoughTheirBeginningIsDeletedMeanwhile) {
  trims_log_ = true;
  int trimmed = 0;
  for (uint32_t seed = 1; seed <= 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Reset();
    std::mt19937 random(seed);
    const auto keys = WriteMixedInput(60);
    for (int process = 0; process < 4; ++process) {
      Process killed = Start();
      for (uint32_t steps = random() % 60; steps > 0 && !killed.ingest->done(); --steps) {
        if (random() % 4 == 0) TrimAtRandom(random);
        killed.Step();
      }
      ASSERT_EQ(killed.ingest->status(), absl::OkStatus());
    }
    Process last = Start();
    while (!last.ingest->done()) {
      if (random() % 4 == 0) TrimAtRandom(random);
      last.Step();
      clock_.Advance(absl::Milliseconds(10));
    }
    ASSERT_EQ(last.ingest->status(), absl::OkStatus());
    for (const auto& [stream, messages] : archive_) trimmed += messages.empty() ? 0 : 1;
    ExpectAllTakenOnce(keys, 9);
  }
  EXPECT_GT(trimmed, 200);
}

TEST_F(IngestTest, InputsBesideEachOtherAreTakenOnceEachWhateverDies) {
  trims_log_ = true;
  const std::vector<std::string> writers = {kIngestWriter, AddedWriter(1), AddedWriter(2)};
  for (uint32_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Reset();
    std::mt19937 random(seed);
    const auto keys = WriteMixedInput(40);
    std::vector<Process> processes;
    for (const std::string& writer : writers) processes.push_back(Start(writer));
    const auto all_done = [&] {
      return std::all_of(processes.begin(), processes.end(), [](auto& p) { return p.ingest->done(); });
    };
    for (int steps = 0; steps < 20'000 && !all_done(); ++steps) {
      const size_t at = random() % writers.size();
      if (steps < 300 && random() % 40 == 0) {
        processes[at].ingest.reset();  // before what it uses
        processes[at] = Start(writers[at]);
      }
      if (random() % 8 == 0) TrimAtRandom(random);
      processes[at].Step();
      clock_.Advance(absl::Milliseconds(5));
    }
    for (size_t i = 0; i < writers.size(); ++i) {
      ASSERT_EQ(processes[i].ingest->status(), absl::OkStatus());
      ExpectAllTakenOnce(keys, 6, writers[i]);
    }
  }
}

TEST_F(IngestTest, AnInputBesideTheSourceSaysNothingOfEventTime) {
  has_times_ = true;
  WriteInput({R"({"k":"a","t":"2026-01-01T00:00:00Z"})"});
  for (const std::string& writer : {std::string(kIngestWriter), AddedWriter(1)}) {
    Process process = Start(writer);
    ASSERT_EQ(Finish(process), absl::OkStatus());
  }
  const uint32_t p = PartitionOf("a", kPartitions).value();
  EXPECT_GT(Take(p).watermark_ms, 0);
  EXPECT_EQ(Take(p, AddedWriter(1)).keys, std::vector<std::string>{"a"});
  EXPECT_EQ(Take(p, AddedWriter(1)).watermark_ms, kNoTime);
}

TEST_F(IngestTest, StopsWhereALogLostItsBeginningAndNobodyNotedIt) {
  trims_log_ = true;
  WriteMixedInput(60);
  {
    Process first = Start();
    while (first.ingest->phase() != Ingest::Phase::kEnd) first.Step();
  }
  broker_.Purge(InputStream(kJob, kSegment, PartitionId(1)), 2);
  Process second = Start();
  EXPECT_TRUE(absl::IsDataLoss(Finish(second))) << second.ingest->status();
}

TEST_F(IngestTest, LetsTheLaterOfTwoWin) {
  for (int begin_second_at = 0; begin_second_at < 30 && !HasFailure(); ++begin_second_at) {
    SCOPED_TRACE(begin_second_at);
    Reset();
    const auto keys = WriteMixedInput(50);
    Process first = Start();
    for (int i = 0; i < begin_second_at; ++i) first.Step();
    Process second = Start();
    for (int i = 0; i < 5000 && !(first.ingest->done() && second.ingest->done()); ++i) {
      first.Step();
      second.Step();
      clock_.Advance(absl::Milliseconds(10));
    }
    ASSERT_TRUE(first.ingest->done() && second.ingest->done());
    // Who claims first is not who was started first when both are started at once.
    const bool first_is_later = first.ingest->epoch() > second.ingest->epoch();
    const absl::Status later = first_is_later ? first.ingest->status() : second.ingest->status();
    const absl::Status earlier = first_is_later ? second.ingest->status() : first.ingest->status();
    EXPECT_EQ(later, absl::OkStatus());
    EXPECT_TRUE(earlier.ok() || absl::IsAborted(earlier)) << earlier;
    ExpectAllTakenOnce(keys, 7);
  }
}

TEST_F(IngestTest, GoesOnThoughTheLastDeadLetterWasDeleted) {
  const auto keys = WriteMixedInput(50);
  {
    Process killed = Start();
    for (int i = 0; i < 40; ++i) killed.Step();
  }
  const std::vector<Message> letters = ReadStream(DeadLetterStream(kJob));
  ASSERT_GT(letters.size(), 1u);
  broker_.Lose(DeadLetterStream(kJob), letters.front().sequence);
  broker_.Lose(DeadLetterStream(kJob), letters.back().sequence);
  Process process = Start();
  EXPECT_EQ(Finish(process), absl::OkStatus());
  EXPECT_TRUE(admin_->GetKey(kAssignmentsBucket, StrCat("fed.", kUid)).ok());
}

TEST_F(IngestTest, WaitsForRoomInAFullStream) {
  const auto keys = WriteMixedInput(50);
  Process process = Start();
  process.bus->RefuseAppends(absl::ResourceExhaustedError("maximum bytes exceeded"));
  for (int i = 0; i < 500; ++i) {
    process.Step();
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_FALSE(process.ingest->done());
  EXPECT_THAT(process.ingest->trouble(), testing::HasSubstr("waiting for room"));
  process.bus->RefuseAppends(absl::OkStatus());
  ASSERT_EQ(Finish(process), absl::OkStatus());
  ExpectAllTakenOnce(keys, 7);
}

TEST_F(IngestTest, GivesUpWhenNothingIsAnsweredForLong) {
  WriteMixedInput(50);
  Process process = Start();
  process.bus->HoldAppends();
  for (int i = 0; i < 500 && !process.ingest->done(); ++i) {
    process.Step();
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_TRUE(absl::IsUnavailable(process.ingest->status())) << process.ingest->status();
}

std::vector<std::string> ManyLines(size_t lines) {
  std::vector<std::string> text;
  for (size_t i = 0; i < lines; ++i) text.push_back(StrCat("{\"k\":\"key-", i, "\",\"v\":1}"));
  return text;
}

TEST_F(IngestTest, GoesOnWithAStreamThatIsTheSameAsBefore) {
  WriteStream(ManyLines(2000));
  FeedAndDieBeforeTheLastEndMark();
  Process second = Start();
  EXPECT_EQ(Finish(second), absl::OkStatus());
  EXPECT_GT(second.ingest->resumed_from(), 0u);
}

TEST_F(IngestTest, RefusesAStreamThatEndsBeforeWhatWasFed) {
  WriteStream(ManyLines(2000));
  FeedAndDieBeforeTheLastEndMark();
  WriteStream(ManyLines(1));
  Process second = Start();
  const absl::Status refused = Finish(second);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(ToStd(refused.message()), testing::HasSubstr("were fed before"));
  EXPECT_FALSE(Take(kPartitions - 1).cursor.ended);
}

TEST_F(IngestTest, RefusesAStreamWithAnotherLineThanBefore) {
  std::vector<std::string> lines = ManyLines(2000);
  WriteStream(lines);
  FeedAndDieBeforeTheLastEndMark();
  lines[1].replace(lines[1].find(":1}"), 3, ":2}");
  WriteStream(lines);
  Process second = Start();
  const absl::Status refused = Finish(second);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(ToStd(refused.message()), testing::HasSubstr("differs"));
  EXPECT_FALSE(Take(kPartitions - 1).cursor.ended);
}

TEST_F(IngestTest, RefusesInputThatGrewBehindAnEndMark) {
  WriteInput({R"({"k":"a"})"});
  Process first = Start();
  ASSERT_EQ(Finish(first), absl::OkStatus());
  // As if it had died when only the partition of "a" had its end mark.
  for (uint32_t p = 0; p < kPartitions; ++p) {
    if (PartitionOf("a", kPartitions) != PartitionId(p)) MakeInput(p);
  }
  WriteInput({R"({"k":"a"})", R"({"k":"a"})"});
  Process second = Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish(second)));
}

TEST_F(IngestTest, StopsAtAMessageThatItCannotRead) {
  WriteMixedInput(20);
  // Only an ingest that is not the first reads what is there.
  ASSERT_TRUE(admin_->CreateKey(kEpochsBucket, EpochKey(kUid, kIngestWriter, Epoch(1)), "").ok());
  AppendRequest request;
  const std::string subject = InputSubject(kJob, kSegment, PartitionId(1));
  const std::string header = StrCat("2 d ", kUid, " in 1 0.0 1.0 1");
  request.subject = subject;
  request.header = header;
  ASSERT_TRUE(admin_->AppendAndWait(request).ok());
  Process process = Start();
  const absl::Status status = Finish(process);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST_F(IngestTest, PassesOverLettersThatAnybodyPutThere) {
  WriteMixedInput(20);
  AppendRequest request;
  const std::string subject = DeadLetterSubject(kJob, kSegment, PartitionId(0));
  request.subject = subject;
  request.payload = R"({"uid":1})";
  ASSERT_TRUE(admin_->AppendAndWait(request).ok());
  Process process = Start();
  EXPECT_TRUE(Finish(process).ok());
}

}  // namespace
}  // namespace millrace
