#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"
#include "coordinator/sinks/file_outlet.h"
#include "coordinator/sinks/sink_session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kSinkUid[] = "00000000000000aa";
constexpr uint32_t kSinkPartitions = 2;
constexpr absl::Duration kTurnWait = absl::Milliseconds(1);

// Time passes with each look at it, so that whoever waits for it in a loop gets there.
class TickingClock : public Clock {
 public:
  absl::Duration Monotonic() const override {
    clock_.Advance(absl::Microseconds(500));
    return clock_.Monotonic();
  }
  absl::Time Now() const override { return clock_.Now(); }
  void Sleep(absl::Duration duration) override { clock_.Advance(duration); }

 private:
  mutable ManualClock clock_;
};

struct Died {};

class FileSinkTest : public testing::Test {
 protected:
  FileSinkTest() { NewWorld(); }
  ~FileSinkTest() override { DieAt(0); }

  void NewWorld() {
    folder_ = std::make_unique<TempFolder>("sink");
    broker_ = std::make_unique<MemoryBroker>(clock_);
    admin_ = broker_->Connect();
    job_.name = "j";
    job_.uid = kSinkUid;
    job_.partitions = kSinkPartitions;
    marks_.clear();
    expected_.clear();
    for (const char* bucket : {kJobsBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(admin_->CreateBucket(bucket).ok());
    }
    for (uint32_t p = 0; p < kSinkPartitions; ++p) MakeResultStream(p);
  }
  void MakeResultStream(uint32_t p) {
    StreamConfig config;
    config.name = ResultStream("j", PartitionId(p));
    config.subjects = {ResultSubject("j", PartitionId(p))};
    EXPECT_TRUE(admin_->CreateStream(config).ok());
    AppendFrame(p, FrameBuilder(FrameKind::kEpoch), FrameKind::kEpoch, marks_[p], marks_[p]);
  }

  void AppendFrame(uint32_t p, FrameBuilder frame, FrameKind kind, Mark prev, Mark upto) {
    const std::string subject = ResultSubject("j", PartitionId(p));
    const std::string header = FormatMessageHeader(
        {kind, kSinkUid, OwnerWriter(kFirstSegment, PartitionId(p)), Epoch(1), prev, upto, 0});
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = frame.Finish();
    ASSERT_TRUE(admin_->AppendAndWait(request).ok());
  }
  // A message of `count` results, which it notes as the lines that are to come out.
  void PutOut(uint32_t p, int count) {
    FrameBuilder frame(FrameKind::kResults);
    const uint64_t offset = std::max<uint64_t>(1, marks_[p].offset);
    for (int i = 0; i < count; ++i) {
      const std::string key = StrCat("key-", i % 3);
      RecordView record;
      record.key = key;
      record.value = "x";
      record.offset = Offset(offset);
      record.index = static_cast<uint32_t>(i);
      frame.Add(record);
      std::string line;
      AppendResultLine(record, PartitionId(p), &line);
      expected_[p] += line;
    }
    const Mark upto{offset + 1, 0};
    AppendFrame(p, std::move(frame), FrameKind::kResults, marks_[p], upto);
    marks_[p] = upto;
  }
  void EndResults() {
    for (uint32_t p = 0; p < kSinkPartitions; ++p) {
      AppendFrame(p, FrameBuilder(FrameKind::kEnd), FrameKind::kEnd, marks_[p], marks_[p]);
    }
  }
  void EndJob(const std::string& state) {
    FinalStatus final;
    final.state = state;
    ASSERT_TRUE(admin_->CreateKey(kAssignmentsBucket, FinalKey(kSinkUid), Encode(final)).ok());
  }

  // A process that brings results out.
  struct Life {
    std::unique_ptr<MemoryBus> bus;
    std::unique_ptr<FileOutlet> outlet;
    std::unique_ptr<SinkSession> session;
    absl::Status status;
  };
  std::string Path() const { return folder_->path() + "/out.jsonl"; }
  Life Begin(const std::string& path = "") {
    Life life;
    life.bus = broker_->Connect();
    FileOutletOptions options;
    options.uid = kSinkUid;
    options.job = "j";
    options.path = path.empty() ? Path() : path;
    options.rotate_bytes = rotate_bytes_;
    options.host = "here";
    options.new_id = StrCat("id-", ++lives_);
    life.outlet = std::make_unique<FileOutlet>(options, *life.bus);
    auto session = SinkSession::Create(job_, *life.outlet, *life.bus, clock_, Counter());
    life.status = session.status();
    if (session.ok()) life.session = *std::move(session);
    return life;
  }
  void Turn(Life& life, int turns) {
    for (int i = 0; i < turns && life.status.ok() && !life.session->done(); ++i) {
      life.status = life.session->Turn(kTurnWait);
      clock_.Sleep(absl::Milliseconds(20));
    }
  }
  // Until all is out, or the process dies. True: all is out.
  bool Live() {
    try {
      Life life = Begin();
      Turn(life, 1000);
      EXPECT_TRUE(life.status.ok()) << life.status;
      return life.status.ok() && life.session->done();
    } catch (const Died&) {
      return false;
    }
  }
  // The pass of any failpoint that kills; 0: none.
  void DieAt(int pass) {
#if MILLRACE_TEST_HOOKS
    passes_left_ = pass;
    SetFailpointHandler([this](const char*) {
      if (passes_left_ > 0 && --passes_left_ == 0) throw Died();
    });
    if (pass == 0) SetFailpointHandler(nullptr);
#else
    static_cast<void>(pass);
#endif
  }

  static std::string ReadText(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // All parts' lines, one after the other.
  std::string Out() const {
    if (rotate_bytes_ == 0) return ReadText(Path());
    std::string text;
    for (uint32_t part = 1; std::filesystem::exists(SinkPartPath(Path(), rotate_bytes_, part)); ++part) {
      text += ReadText(SinkPartPath(Path(), rotate_bytes_, part));
    }
    return text;
  }
  // Each result once, and those of a partition in their order.
  void ExpectAllOut() {
    std::map<uint32_t, std::string> out;
    std::istringstream lines(Out());
    for (std::string line; std::getline(lines, line);) {
      out[line.find("\"partition\":0") != std::string::npos ? 0 : 1] += line + "\n";
    }
    EXPECT_EQ(out, expected_);
    EXPECT_FALSE(std::filesystem::exists(SinkNotePath(Path()))) << "nothing is left beside the results";
    EXPECT_TRUE(admin_->GetKey(kAssignmentsBucket, SinkDoneKey(kSinkUid)).ok());
  }
  // REQUIRES: something is out already.
  void ExpectStops(const std::string& path, const std::string& why) {
    const Life life = Begin(path);
    EXPECT_TRUE(absl::IsFailedPrecondition(life.status)) << life.status;
    EXPECT_THAT(std::string(life.status.message()), HasSubstr(why));
  }
  void BringSomeOut() {
    PutOut(0, 3);
    Life life = Begin();
    Turn(life, 80);
    ASSERT_TRUE(life.status.ok()) << life.status;
    ASSERT_EQ(Out(), expected_[0]);
  }

  TickingClock clock_;
  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<MemoryBroker> broker_;
  std::unique_ptr<MemoryBus> admin_;
  JobRecord job_;
  uint64_t rotate_bytes_ = 0;
  std::map<uint32_t, Mark> marks_;            // of what was put out
  std::map<uint32_t, std::string> expected_;  // lines, by partition
  int lives_ = 0;
  int passes_left_ = 0;
};

TEST_F(FileSinkTest, WritesEachResultOnceAndSaysWhenAllAreOut) {
  PutOut(0, 4);
  PutOut(1, 2);
  Life life = Begin();
  Turn(life, 80);
  EXPECT_TRUE(std::filesystem::exists(SinkNotePath(Path())));
  const auto report = DecodeSinkReport(admin_->GetKey(kAssignmentsBucket, SinkKey(kSinkUid))->value);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->to, StrCat("file ", Path(), " on host here"));
  EXPECT_EQ(report->records, 6u);
  PutOut(1, 5);
  EndResults();
  Turn(life, 100);
  EXPECT_TRUE(life.session->done()) << life.status;
  ExpectAllOut();
}

TEST_F(FileSinkTest, GoesOnBehindWhatIsNotedAndTakesTheRestBack) {
  BringSomeOut();
  std::ofstream(Path(), std::ios::app) << "{\"half a li";
  PutOut(0, 2);
  EndResults();
  EXPECT_TRUE(Live());
  ExpectAllOut();
}

#if MILLRACE_TEST_HOOKS
TEST_F(FileSinkTest, DyingAtAnyPointLosesAndDoublesNothing) {
  for (const uint64_t rotate_bytes : {0, 200}) {
    int pass = 1;
    for (bool died = true; died; ++pass) {
      SCOPED_TRACE(StrCat("rotate ", rotate_bytes, ", dies at pass ", pass));
      NewWorld();
      rotate_bytes_ = rotate_bytes;
      for (uint32_t p = 0; p < kSinkPartitions; ++p) {
        for (int i = 0; i < 3; ++i) PutOut(p, 2);
      }
      EndResults();
      DieAt(pass);
      died = !Live();
      DieAt(0);
      const bool over = admin_->GetKey(kAssignmentsBucket, SinkDoneKey(kSinkUid)).ok();
      // Nobody begins again when all is said to be out; the note may then stay.
      if (!over) {
        EXPECT_TRUE(Live());
      }
      if (over && died) std::filesystem::remove(SinkNotePath(Path()));
      ExpectAllOut();
    }
    EXPECT_GT(pass, 8) << "points were passed";
  }
}

TEST_F(FileSinkTest, DyingAgainAndAgainWhileResultsComeLosesAndDoublesNothing) {
  for (int seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    NewWorld();
    std::mt19937 random(seed);
    rotate_bytes_ = seed % 2 == 0 ? 0 : 500;
    for (int life = 0; life < 12; ++life) {
      for (int i = 0; i < 4; ++i) PutOut(random() % kSinkPartitions, 1 + static_cast<int>(random() % 5));
      DieAt(1 + static_cast<int>(random() % 9));
      try {
        Life one = Begin();
        Turn(one, 20);
        EXPECT_TRUE(one.status.ok()) << one.status;
      } catch (const Died&) {
      }
    }
    DieAt(0);
    EndResults();
    EXPECT_TRUE(Live());
    ExpectAllOut();
  }
}
#endif

TEST_F(FileSinkTest, BeginsTheNextPartBehindTheMessageThatFillsOne) {
  rotate_bytes_ = 100;
  for (int i = 0; i < 3; ++i) PutOut(0, 2);
  EndResults();
  EXPECT_TRUE(Live());
  ExpectAllOut();
  EXPECT_EQ(SinkPartPath("/a/out.jsonl", 1, 2), "/a/out-000002.jsonl");
  EXPECT_EQ(SinkPartPath("/a/out", 1, 1234567), "/a/out-1234567");
  for (uint32_t part = 1; part <= 3; ++part) {
    EXPECT_THAT(ReadText(SinkPartPath(Path(), rotate_bytes_, part)), HasSubstr(StrCat("\"offset\":", part)));
  }
}

TEST_F(FileSinkTest, LeavesAFileAloneThatWasThereBefore) {
  std::ofstream(Path()) << "precious";
  ExpectStops(Path(), "is there already, and not empty");
  EXPECT_EQ(ReadText(Path()), "precious");
  rotate_bytes_ = 100;
  std::ofstream(SinkPartPath(Path(), rotate_bytes_, 2)) << "precious";
  PutOut(0, 3);
  Life life = Begin();
  Turn(life, 100);
  EXPECT_TRUE(absl::IsFailedPrecondition(life.status)) << life.status;
  EXPECT_EQ(ReadText(SinkPartPath(Path(), rotate_bytes_, 2)), "precious");
}

TEST_F(FileSinkTest, StopsWhereWhatWasWrittenIsGone) {
  BringSomeOut();
  std::filesystem::resize_file(Path(), 10);
  ExpectStops(Path(), "has 10 bytes where");
  std::filesystem::remove(Path());
  ExpectStops(Path(), "is gone");
}

TEST_F(FileSinkTest, StopsOnAMachineWhereTheFileIsNot) {
  BringSomeOut();
  ExpectStops(folder_->path() + "/elsewhere.jsonl", StrCat("they are in ", Path(), " on host here"));
  EXPECT_FALSE(std::filesystem::exists(folder_->path() + "/elsewhere.jsonl"));
  // Moved as a whole it goes on.
  std::filesystem::rename(Path(), folder_->path() + "/moved.jsonl");
  std::filesystem::rename(SinkNotePath(Path()), SinkNotePath(folder_->path() + "/moved.jsonl"));
  EXPECT_TRUE(Begin(folder_->path() + "/moved.jsonl").status.ok());
}

TEST_F(FileSinkTest, StopsWhereAnotherBeganTheFileMeanwhile) {
  const std::string other = folder_->path() + "/other.jsonl";
  ASSERT_TRUE(Begin(other).status.ok());
  ASSERT_TRUE(admin_->DeleteKey(kEpochsBucket, SinkPlaceKey(kSinkUid)).ok());
  BringSomeOut();
  ExpectStops(other, StrCat("they are in ", Path()));
}

TEST_F(FileSinkTest, KeepsASecondWriterOutUntilTheFirstIsGone) {
  PutOut(0, 2);
  {
    Life first = Begin();
    Turn(first, 40);
    const Life second = Begin();
    EXPECT_TRUE(absl::IsUnavailable(second.status)) << second.status;
    PutOut(1, 2);
    Turn(first, 40);
    EXPECT_TRUE(first.status.ok()) << first.status;
  }
  EndResults();
  EXPECT_TRUE(Live());
  ExpectAllOut();
}

TEST_F(FileSinkTest, LeavesAnotherJobsFileAlone) {
  BringSomeOut();
  job_.uid = "00000000000000bb";
  MemoryBus& bus = *admin_;
  FileOutlet outlet({.uid = job_.uid, .job = "k", .path = Path(), .host = "here", .new_id = "other"}, bus);
  const auto position = outlet.Begin();
  EXPECT_TRUE(absl::IsFailedPrecondition(position.status())) << position.status();
  EXPECT_THAT(std::string(position.status().message()), HasSubstr("is of job j"));
  EXPECT_TRUE(outlet.End().ok());
  EXPECT_TRUE(std::filesystem::exists(SinkNotePath(Path())));
}

TEST_F(FileSinkTest, BringsOutWhatACancelledJobHasPutOut) {
  PutOut(0, 3);
  PutOut(1, 1);
  EndJob("cancelled");
  Life life = Begin();
  Turn(life, 30);
  EXPECT_FALSE(life.session->done()) << "owners may still write";
  PutOut(1, 2);
  Turn(life, 1000);
  EXPECT_TRUE(life.session->done()) << life.status;
  ExpectAllOut();
}

TEST_F(FileSinkTest, WaitsForTheEndMarksOfAJobThatCompleted) {
  PutOut(0, 3);
  EndJob("completed");
  Life life = Begin();
  Turn(life, 200);
  EXPECT_FALSE(life.session->done());
  EndResults();
  Turn(life, 100);
  EXPECT_TRUE(life.session->done()) << life.status;
  ExpectAllOut();
}

TEST_F(FileSinkTest, StopsWhenAResultStreamWasMadeAnewOrRolledBack) {
  BringSomeOut();
  broker_->RollBack(ResultStream("j", PartitionId(0)), 1);
  Life rolled_back = Begin();
  EXPECT_TRUE(absl::IsDataLoss(rolled_back.status)) << rolled_back.status;
  rolled_back = Life();
  broker_->DeleteStream(ResultStream("j", PartitionId(0)));
  clock_.Sleep(absl::Seconds(1));
  MakeResultStream(0);
  const Life made_anew = Begin();
  EXPECT_TRUE(absl::IsDataLoss(made_anew.status)) << made_anew.status;
  EXPECT_THAT(std::string(made_anew.status.message()), HasSubstr("made anew"));
}

TEST_F(FileSinkTest, RefusesWhatIsNoFile) {
  std::filesystem::create_directory(Path());
  EXPECT_FALSE(Begin().status.ok());
  const Life life = Begin(folder_->path() + "/no/such/folder/out.jsonl");
  EXPECT_THAT(std::string(life.status.message()), HasSubstr("does its folder exist on host here?"));
}

TEST_F(FileSinkTest, TroubleIsToldBesideHowFarItIs) {
  BringSomeOut();
  TellSinkTrouble(*admin_, kSinkUid, "file x", "the disk is full");
  const auto report = DecodeSinkReport(admin_->GetKey(kAssignmentsBucket, SinkKey(kSinkUid))->value);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->trouble, "the disk is full");
  EXPECT_EQ(report->records, 3u);
}

}  // namespace
}  // namespace millrace
