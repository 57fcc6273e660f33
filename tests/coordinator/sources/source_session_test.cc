#include "coordinator/sources/source_session.h"

#include <functional>
#include <map>
#include <random>

#include "common/frame/writer_cursors.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "coordinator/ingest/job_creation.h"
#include "coordinator/sources/source_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kSourceUid[] = "0123456789abcdef";
constexpr uint32_t kSourcePartitions = 3;
constexpr char kFlights[] = "FLIGHTS";

class SourceSessionTest : public testing::Test {
 protected:
  SourceSessionTest() : broker_(clock_), admin_(broker_.Connect()) {
    for (const char* bucket : {kJobsBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(admin_->CreateBucket(bucket).ok());
    }
    MakeStream(kFlights, "flights.>");
  }
  void MakeStream(const std::string& name, const std::string& subject) {
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    EXPECT_TRUE(admin_->CreateStream(config).ok());
  }
  static JobSpec Spec(const std::string& source) {
    const auto spec = ParseJob("job.yaml", StrCat("name: j\nsource: { ", source, " }\nkey: k\npartitions: ",
                                                  kSourcePartitions, "\nstages: [ { map: r } ]\n"));
    EXPECT_TRUE(spec.ok()) << spec.status();
    return spec.ok() ? *spec : JobSpec();
  }
  void MakeJob(const std::string& source) {
    job_ = {"j", kSourceUid, Spec(source), {}};
    const auto found = FindSource(*admin_, job_.spec);
    ASSERT_TRUE(found.ok()) << found.status();
    job_.source = *found;
    JobRecord record;
    record.name = job_.name;
    record.uid = job_.uid;
    record.inputs = {job_.source};
    record.partitions = kSourcePartitions;
    for (const StreamConfig& stream : StreamsOf(record, job_.spec, 1)) {
      ASSERT_TRUE(admin_->CreateStream(stream).ok());
    }
  }
  void Publish(const std::string& subject, std::string_view payload, const UserHeaders& headers = {}) {
    AppendRequest request;
    request.subject = subject;
    request.payload = payload;
    request.user_headers = &headers;
    ASSERT_TRUE(admin_->AppendAndWait(request).ok());
  }
  void PublishKeys(int from, int to) {
    for (int i = from; i < to; ++i)
      Publish("flights.us", StrCat(R"({"k":"key-)", i % 7, R"(","n":)", i, "}"));
  }

  struct Run {
    std::unique_ptr<MemoryBus> bus;
    std::unique_ptr<SourceSession> session;
  };
  Run Begin() {
    Run run;
    run.bus = broker_.Connect();
    auto session = SourceSession::Create(job_, StrCat("claimer-", ++sessions_), *run.bus, clock_);
    EXPECT_TRUE(session.ok()) << session.status();
    if (session.ok()) run.session = *std::move(session);
    return run;
  }
  void Turn(Run& run, int turns) {
    for (int i = 0; i < turns && !run.session->done(); ++i) {
      run.session->Turn(absl::ZeroDuration());
      clock_.Advance(absl::Milliseconds(10));
    }
  }
  SourceFed Told() {
    const auto key = admin_->GetKey(kAssignmentsBucket, SourceKey(kSourceUid));
    const auto told = key.ok() ? DecodeSourceFed(key->value) : key.status();
    return told.ok() ? *told : SourceFed();
  }

  // Records by key, as every reader of the partitions takes them; each in the partition of its key.
  std::map<std::string, int> Taken() {
    std::map<std::string, int> taken;
    Take([&](const RecordView& record) { ++taken[std::string(record.key)]; });
    return taken;
  }
  void Take(const std::function<void(const RecordView&)>& visit) {
    for (uint32_t p = 0; p < kSourcePartitions; ++p) {
      ReaderOptions options;
      options.stream = InputStream("j", kFirstSegment, PartitionId(p));
      options.window_messages = 1 << 20;
      options.window_bytes = 1 << 30;
      const auto bus = broker_.Connect();
      bus->OpenReader(options);
      WriterCursors cursors(kSourceUid);
      std::vector<BusEvent> events;
      while (bus->Poll(absl::ZeroDuration(), 1000, &events) > 0) {
        for (const BusEvent& event : events) {
          if (event.type != BusEvent::Type::kMessage) continue;
          if (cursors.Offer(*ParseMessageHeader(event.message.header)) != WriterCursors::Verdict::kTake)
            continue;
          const auto frame = FrameView::Parse(event.message.payload);
          EXPECT_TRUE(frame.ok()) << frame.status();
          RecordView record;
          for (auto cursor = frame->records(); cursor.Next(&record);) {
            EXPECT_EQ(PartitionOf(record.key, kSourcePartitions), PartitionId(p));
            EXPECT_NE(record.time_ms, kNoTime) << "the broker's time of the message";
            visit(record);
          }
        }
        events.clear();
      }
    }
  }

  ManualClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> admin_;
  SourceJob job_;
  int sessions_ = 0;
};

TEST_F(SourceSessionTest, ARecordHasTheHeadersOfItsMessage) {
  Publish("flights.us", R"({"k":"a"})", {{"traceparent", "00-4bf92f35-00f067aa-01"}, {"Type", "landed"}});
  Publish("flights.us", R"({"k":"b"})");
  MakeJob("subject: 'flights.>'");
  Run run = Begin();
  Turn(run, 200);
  std::map<std::string, UserHeaders> taken;
  Take([&](const RecordView& record) {
    UserHeaders& headers = taken[std::string(record.key)];
    if (record.raw_headers.empty()) return;
    const absl::StatusOr<HeaderList> list = DecodeHeaders(record.raw_headers);
    ASSERT_TRUE(list.ok()) << list.status();
    for (const auto& [name, value] : *list) headers.emplace_back(name, value);
  });
  EXPECT_EQ(taken, (std::map<std::string, UserHeaders>{
                       {"a", {{"traceparent", "00-4bf92f35-00f067aa-01"}, {"Type", "landed"}}}, {"b", {}}}));
}

TEST_F(SourceSessionTest, FeedsWhatIsThereAndWhatComes) {
  PublishKeys(0, 70);
  MakeJob("subject: 'flights.>'");
  Run run = Begin();
  Turn(run, 200);
  PublishKeys(70, 140);
  Turn(run, 400);
  const auto taken = Taken();
  ASSERT_EQ(taken.size(), 7u);
  for (const auto& [key, count] : taken) EXPECT_EQ(count, 20) << key;
  EXPECT_EQ(Told().stream, kFlights);
  EXPECT_EQ(Told().position, 140u);
  EXPECT_EQ(Told().records, 140u);
  EXPECT_EQ(Told().trouble, "");
}

TEST_F(SourceSessionTest, GoesOnWhereAnotherWasKilled) {
  MakeJob("stream: FLIGHTS");
  std::mt19937 random(7);
  int published = 0;
  for (int session = 0; session < 20; ++session) {
    PublishKeys(published, published + 35);
    published += 35;
    Run run = Begin();
    Turn(run, 1 + static_cast<int>(random() % 60));  // and is killed
  }
  Run last = Begin();
  Turn(last, 1000);
  const auto taken = Taken();
  ASSERT_EQ(taken.size(), 7u);
  for (const auto& [key, count] : taken) EXPECT_EQ(count, published / 7) << key;
}

TEST_F(SourceSessionTest, OneThatWasSupersededEnds) {
  MakeJob("stream: FLIGHTS");
  PublishKeys(0, 7);
  Run first = Begin();
  Turn(first, 100);
  Run second = Begin();
  Turn(second, 100);
  PublishKeys(7, 700);
  Turn(first, 1000);
  EXPECT_TRUE(absl::IsAborted(first.session->status())) << first.session->status();
  Turn(second, 1000);
  for (const auto& [key, count] : Taken()) EXPECT_EQ(count, 100) << key;
}

TEST_F(SourceSessionTest, TakesOnlyItsSubject) {
  MakeJob("subject: flights.us, stream: FLIGHTS");
  PublishKeys(0, 7);
  Publish("flights.eu", R"({"k":"elsewhere"})");
  Run run = Begin();
  Turn(run, 200);
  EXPECT_EQ(Taken().size(), 7u);
  EXPECT_FALSE(Taken().contains("elsewhere"));
}

TEST_F(SourceSessionTest, WhatIsNoRecordIsADeadLetter) {
  MakeJob("subject: 'flights.>'");
  Publish("flights.us", "no JSON");
  Publish("flights.us", "");
  Publish("flights.us", R"({"k":"a"})");
  Run run = Begin();
  Turn(run, 300);
  EXPECT_EQ(Taken().size(), 1u);
  EXPECT_EQ(Told().rejected, 1u);
  EXPECT_EQ(admin_->GetStream(DeadLetterStream("j"))->messages, 1u);
}

TEST_F(SourceSessionTest, SaysHowManyMessagesWereDeletedBeforeItReadThem) {
  MakeJob("stream: FLIGHTS");
  PublishKeys(0, 70);
  {
    Run run = Begin();
    Turn(run, 300);
  }
  PublishKeys(70, 140);
  broker_.Purge(kFlights, 100);
  Run run = Begin();
  Turn(run, 300);
  EXPECT_EQ(Told().lost, 30u);
  EXPECT_EQ(Told().position, 140u);
}

TEST_F(SourceSessionTest, AStreamThatWasMadeAnewIsAnotherOne) {
  MakeJob("stream: FLIGHTS");
  broker_.DeleteStream(kFlights);
  const auto bus = broker_.Connect();
  const auto gone = SourceSession::Create(job_, "c", *bus, clock_);
  EXPECT_TRUE(absl::IsNotFound(gone.status())) << gone.status();
  clock_.Advance(absl::Seconds(1));
  MakeStream(kFlights, "flights.>");
  const auto anew = SourceSession::Create(job_, "c", *bus, clock_);
  EXPECT_TRUE(absl::IsFailedPrecondition(anew.status())) << anew.status();
  TellSourceTrouble(*bus, job_, ToStd(anew.status().message()));
  EXPECT_THAT(Told().trouble, HasSubstr("made anew"));
}

TEST_F(SourceSessionTest, ASubjectThatNoStreamHoldsGetsOne) {
  MakeJob("subject: 'trains.>'");
  EXPECT_EQ(job_.source.name, "mr-j-source");
  Publish("trains.local", R"({"k":"a"})");
  Run run = Begin();
  Turn(run, 200);
  EXPECT_EQ(Taken().size(), 1u);
}

TEST_F(SourceSessionTest, AStreamOfItsOwnLosesWhatIsInThePartitions) {
  MakeJob("subject: 'trains.>'");
  job_.spec.retain = Retain::kResults;
  const auto publish = [&](int from, int to) {
    for (int i = from; i < to; ++i) Publish("trains.local", StrCat(R"({"k":"key-)", i % 7, "\"}"));
  };
  std::mt19937 random(11);
  int published = 0;
  uint64_t begins = 1;
  for (int session = 0; session < 12; ++session) {
    publish(published, published + 35);
    published += 35;
    Run run = Begin();
    Turn(run, 1200 + static_cast<int>(random() % 1200));  // and is killed
    const uint64_t now = admin_->GetStream("mr-j-source")->first_sequence;
    EXPECT_GE(now, begins);
    EXPECT_LE(now, static_cast<uint64_t>(published)) << "the last message stays";
    begins = now;
  }
  EXPECT_GT(begins, 200u);
  const auto taken = Taken();
  ASSERT_EQ(taken.size(), 7u);
  for (const auto& [key, count] : taken) EXPECT_EQ(count, published / 7) << key;
  EXPECT_EQ(Told().lost, 0u);
}

TEST_F(SourceSessionTest, WhatASupersededSessionSentDoesNotCountAsTaken) {
  MakeJob("subject: 'trains.>'");
  job_.spec.retain = Retain::kResults;
  Run zombie = Begin();
  Turn(zombie, 50);
  Run heir = Begin();
  Turn(heir, 2);  // passes over the epoch that is there, and claims the next
  for (int i = 0; i < 35; ++i) Publish("trains.local", StrCat(R"({"k":"key-)", i % 7, "\"}"));
  Turn(zombie, 3000);
  EXPECT_TRUE(absl::IsAborted(zombie.session->status()));
  EXPECT_EQ(admin_->GetStream("mr-j-source")->first_sequence, 1u);
  Turn(heir, 3000);
  EXPECT_GT(admin_->GetStream("mr-j-source")->first_sequence, 1u);
  EXPECT_EQ(Taken().size(), 7u);
}

TEST_F(SourceSessionTest, AStreamOfSomebodyElsesIsNotTrimmed) {
  MakeJob("subject: 'flights.>'");
  job_.spec.retain = Retain::kResults;
  PublishKeys(0, 70);
  Run run = Begin();
  Turn(run, 3000);
  EXPECT_EQ(Told().position, 70u);
  EXPECT_EQ(admin_->GetStream(kFlights)->first_sequence, 1u);
}

TEST_F(SourceSessionTest, ASourceThatCannotBeIsRefused) {
  const auto missing = FindSource(*admin_, Spec("stream: TRAINS"));
  EXPECT_TRUE(absl::IsNotFound(missing.status())) << missing.status();
  const auto foreign = FindSource(*admin_, Spec("stream: FLIGHTS, subject: trains"));
  EXPECT_TRUE(absl::IsInvalidArgument(foreign.status())) << foreign.status();
}

}  // namespace
}  // namespace millrace
