#include "coordinator/copy/copy_input.h"

#include <functional>
#include <random>

#include "common/partitioner.h"
#include "gmock/gmock.h"
#include "tests/coordinator/copy/copy_fixture.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CopyInputTest : public CopyFixture {
 protected:
  // What the input tells, one word a record, until it ends or fails.
  struct Told {
    std::vector<std::string> words;
    std::vector<int64_t> watermarks;  // when each was told
    absl::Status status;
  };
  Told TellAll(const std::vector<CopiedLog>& logs, uint64_t start = 0, NewKey key = Key(),
               size_t events_a_poll = 100) {
    CopyInput input(kOldUid, logs, OldKeys(), std::move(key), *bus_);
    input.StartAt(start);
    Told told;
    for (int silent = 0; silent < 1000;) {
      InputLine line;
      const auto event = input.Next(&line);
      if (!event.ok()) {
        told.status = event.status();
        return told;
      }
      if (*event == RecordInput::Event::kEnd) return told;
      if (*event == RecordInput::Event::kNotReady) {
        ++silent;
        Deliver(input, events_a_poll);
        continue;
      }
      silent = 0;
      EXPECT_EQ(line.end, line.begin + 1);
      const std::string place = StrCat("@", line.begin);
      switch (*event) {
        case RecordInput::Event::kRecord:
          told.words.push_back(StrCat(line.record->key, "=", line.record->value, place));
          break;
        case RecordInput::Event::kBadRecord:
          told.words.push_back(
              StrCat("bad ", line.record != nullptr ? line.record->value : line.text, place));
          break;
        default:
          told.words.push_back(StrCat("text ", line.text, place));
      }
      told.watermarks.push_back(*input.watermark_ms());
    }
    told.status = absl::DeadlineExceededError("it waits");
    return told;
  }
  void Deliver(CopyInput& input, size_t most) {
    std::vector<BusEvent> events;
    bus_->Poll(absl::ZeroDuration(), most, &events);
    for (BusEvent& event : events) input.Handle(event);
  }
};

TEST_F(CopyInputTest, TellsTheRecordsOfAllPartitionsInTheOrderOfLogTime) {
  OldJob& old = MakeOld(2);
  old.Put(1, {{"b", "1"}});
  old.Put(0, {{"a", "2"}, {"a", "3"}});  // in the same millisecond: the lower partition first
  Wait();
  old.Put(1, {{"b", "4"}});
  Wait();
  old.Put(0, {{"a", "5"}});
  old.EndAll();
  EXPECT_THAT(TellAll(old.Logs()).words, ElementsAre("a=2@0", "a=3@1", "b=1@2", "b=4@3", "a=5@4"));
}

TEST_F(CopyInputTest, TellsOnlyWhatIsTheJobsInput) {
  OldJob& old = MakeOld(1);
  const auto frame = [](FrameKind kind, const char* uid, const char* writer, uint64_t epoch, uint64_t prev,
                        uint64_t upto) {
    MessageHeader header{kind, uid, writer, Epoch(epoch), Mark{prev, 0}, Mark{upto, 0}, 0};
    if (header.writer == kRetryWriter) header.letter = "0.0.1.0";
    return header;
  };
  old.Put(0, {{"a", "1"}});
  old.PutFrame(0, frame(FrameKind::kData, kOldUid, kIngestWriter, 1, 0, 1), {{"a", "again"}});
  old.PutFrame(0, frame(FrameKind::kData, "00000000000000ff", kIngestWriter, 1, 1, 2), {{"a", "foreign"}});
  old.PutFrame(0, frame(FrameKind::kData, kOldUid, kIngestWriter, 1, 7, 8), {{"a", "behind a gap"}});
  old.PutFrame(0, frame(FrameKind::kTick, kOldUid, kTickWriter, 0, 0, 0), {});
  old.PutFrame(0, frame(FrameKind::kCode, kOldUid, kCodeWriter, 1, 0, 1), {});
  old.PutFrame(0, frame(FrameKind::kData, kOldUid, kRetryWriter, 1, 0, 1), {{"a", "retried"}});
  old.PutFrame(0, frame(FrameKind::kData, kOldUid, "add-1", 1, 0, 1), {{"b", "added"}});
  old.PutStranger(0, R"({"k":"c"})");
  old.PutFrame(0, frame(FrameKind::kEpoch, kOldUid, kIngestWriter, 2, 0, 0), {});
  old.Put(0, {{"a", "of an older epoch"}});
  old.PutFrame(0, frame(FrameKind::kEnd, kOldUid, kIngestWriter, 2, 1, 1), {});
  old.PutStranger(0, "behind the end");
  const Told told = TellAll(old.Logs());
  EXPECT_EQ(told.status, absl::OkStatus());
  EXPECT_THAT(told.words, ElementsAre("a=1@0", "b=added@1", R"(text {"k":"c"}@2)"));
}

TEST_F(CopyInputTest, TheOrderIsTheSameHoweverTheLogsArriveAndWhereverItBegins) {
  OldJob& old = MakeOld(4);
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const uint32_t p = random() % 4;
    old.Put(p, std::vector<OldRecord>(1 + random() % 3, {StrCat("k", p), StrCat(i)}));
    if (random() % 2 == 0) Wait();
  }
  old.EndAll();
  const std::vector<CopiedLog> logs = old.Logs();
  const std::vector<std::string> all = TellAll(logs).words;
  ASSERT_GE(all.size(), 200u);
  for (const size_t events : {1, 3, 50}) EXPECT_EQ(TellAll(logs, 0, Key(), events).words, all);
  for (uint64_t start = 0; start <= all.size(); start += 37) {
    const std::vector<std::string> rest(all.begin() + static_cast<ptrdiff_t>(start), all.end());
    EXPECT_EQ(TellAll(logs, start).words, rest) << "from " << start;
  }
}

TEST_F(CopyInputTest, EventTimeIsWhereEveryPartitionHasBeenReadTo) {
  OldJob& old = MakeOld(2);
  old.Put(0, {{"a", "1", 100}}, 100);
  Wait();
  old.Put(0, {{"a", "2", 900}}, 900);
  Wait();
  old.Put(1, {{"b", "3", 150}}, 900);  // what was fed before the watermark, and appended later
  Wait();
  old.Put(1, {{"b", "4", 950}}, 950);
  old.EndAll();
  const Told told = TellAll(old.Logs());
  EXPECT_THAT(told.words, ElementsAre("a=1@0", "a=2@1", "b=3@2", "b=4@3"));
  EXPECT_THAT(told.watermarks, ElementsAre(kNoTime, kNoTime, kNoTime, 900)) << "b=3 is not late";
}

TEST_F(CopyInputTest, ARecordKeepsItsTimeOrHasThatOfItsMessage) {
  OldJob& old = MakeOld(1);
  clock_.Advance(absl::Seconds(50));
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  old.Put(0, {{"a", "headed", 100}, {"a", "untimed"}});
  old.EndAll();
  CopyInput input(kOldUid, old.Logs(), OldKeys(), Key(), *bus_);
  InputLine line;
  while (*input.Next(&line) == RecordInput::Event::kNotReady) Deliver(input, 100);
  EXPECT_EQ(line.record->time_ms, 100);
  EXPECT_EQ(DecodeHeaders(line.record->raw_headers)->size(), 1u);
  EXPECT_EQ(*input.Next(&line), RecordInput::Event::kRecord);
  EXPECT_EQ(line.record->time_ms, now_ms);
}

TEST_F(CopyInputTest, WhatAnotherClientPutIntoTheWrongPartitionIsRefusedHereToo) {
  OldJob& old = MakeOld(2);
  const uint32_t home = PartitionOf("c", 2).value();
  old.PutStranger(1 - home, R"({"k":"c"})");
  Wait();
  old.PutStranger(home, R"({"k":"c"})");
  old.PutStranger(home, "no record");
  old.EndAll();
  EXPECT_THAT(TellAll(old.Logs()).words,
              ElementsAre(R"(bad {"k":"c"}@0)", R"(text {"k":"c"}@1)", "text no record@2"));
}

TEST_F(CopyInputTest, ALogThatIsMadeAnewUnderTheReadingEndsIt) {
  OldJob& old = MakeOld(1);
  for (int i = 0; i < 20; ++i) old.Put(0, {{"a", StrCat(i)}});
  old.EndAll();
  const std::vector<CopiedLog> logs = old.Logs();
  CopyInput input(kOldUid, logs, OldKeys(), Key(), *bus_);
  InputLine line;
  while (*input.Next(&line) == RecordInput::Event::kNotReady) Deliver(input, 1);
  broker_.DeleteStream(OldJob::Stream(0));
  Wait();
  OldJob& anew = MakeOld(1);
  for (int i = 0; i < 10; ++i) anew.Put(0, {{"a", StrCat("new ", i)}});
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    const auto event = input.Next(&line);
    status = event.status();
    if (event.ok() && *event == RecordInput::Event::kNotReady) Deliver(input, 1);
  }
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST_F(CopyInputTest, ANewKeyIsTakenFromTheValue) {
  OldJob& old = MakeOld(1);
  old.Put(0, {{"a", "xyz"}, {"a", ""}});
  old.EndAll();
  EXPECT_THAT(TellAll(old.Logs(), 0, Key("#r > 0 and string.sub(r, 1, 1) or nil")).words,
              ElementsAre("x=xyz@0", "bad @1"));
}

TEST_F(CopyInputTest, WhatIsAppendedAfterTheCopyWasBegunIsNotLookedAt) {
  OldJob& old = MakeOld(1);
  old.Put(0, {{"a", "1"}});
  const std::vector<CopiedLog> logs = old.Logs(/*has_end=*/false);
  old.Put(0, {{"a", "2"}});
  EXPECT_THAT(TellAll(logs).words, ElementsAre("a=1@0"));
}

TEST_F(CopyInputTest, StopsWhereALogIsNotWhatTheCopyWasBegunWith) {
  struct Case {
    const char* what;
    std::function<void()> happens;
  };
  const auto none = [] {};
  const std::vector<Case> cases = {
      {"lacks the mark that ends its input", none},
      {"is gone", [&] { broker_.DeleteStream(OldJob::Stream(1)); }},
      {"has no sequence", [&] { broker_.Purge(OldJob::Stream(1), 1); }},
      {"deleted and made anew",
       [&] {
         broker_.DeleteStream(OldJob::Stream(0));
         broker_.DeleteStream(OldJob::Stream(1));
         OldJob& anew = MakeOld(2);
         anew.Put(0, {{"a", "1"}});
         anew.Put(1, {{"b", "2"}});
         anew.EndAll();
       }},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.what);
    for (uint32_t p = 0; p < 2; ++p) broker_.DeleteStream(OldJob::Stream(p));
    OldJob& old = MakeOld(2);
    old.Put(0, {{"a", "1"}});
    old.Put(1, {{"b", "2"}});
    std::vector<CopiedLog> logs = old.Logs();
    old.EndAll();
    if (&test != &cases.front()) logs = old.Logs();
    test.happens();
    const absl::Status status = TellAll(logs).status;
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(ToStd(status.message()), HasSubstr(test.what));
  }
}

TEST_F(CopyInputTest, AnEmptyLogHoldsNothingUp) {
  OldJob& old = MakeOld(2);
  old.Put(0, {{"a", "1"}});
  EXPECT_THAT(TellAll(old.Logs(/*has_end=*/false)).words, ElementsAre("a=1@0"));
}

}  // namespace
}  // namespace millrace
