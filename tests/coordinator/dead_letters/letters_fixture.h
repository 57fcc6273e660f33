// A job with one partition, its log and its dead letters, on a broker in memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/frame/message_header.h"
#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/verify/partition_replay.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {

class LettersFixture : public testing::Test {
 protected:
  static constexpr char kUid[] = "00000000000000aa";
  static constexpr PartitionId kPartition = PartitionId(0);

  // Every record of the log that counts comes out again.
  LettersFixture()
      : spec_(*ParseJob("job.yaml", "name: j\nkey: k\npartitions: 1\nstages:\n  - filter: \"true\"\n")) {
    job_.name = "j";
    job_.uid = kUid;
    job_.partitions = 1;
    MakeStream(InputStream("j", kFirstSegment, kPartition), InputSubject("j", kFirstSegment, kPartition));
    MakeStream(DeadLetterStream("j"), DeadLetterSubjects("j"));
  }

  uint64_t Append(const std::string& subject, const std::string& header, std::string_view payload) {
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = payload;
    const auto appended = bus_->AppendAndWait(request);
    EXPECT_TRUE(appended.ok()) << appended.status();
    return appended.value_or(0);
  }
  uint64_t AppendInput(const std::string& header, std::string_view payload) {
    return Append(InputSubject("j", kFirstSegment, kPartition), header, payload);
  }
  // The ingest's next message: records {"v": value} of these keys, at event time 1000, 1001, …
  uint64_t Feed(const std::vector<std::pair<std::string, int64_t>>& records) {
    FrameBuilder frame;
    const std::string_view fields[] = {"v"};
    const uint32_t shape = frame.InternShape(fields);
    for (const auto& [key, value] : records) {
      std::string packed;
      PackWriter(&packed).Int(value);
      RecordView record;
      record.key = key;
      record.value = packed;
      record.shape = shape;
      record.time_ms = 1000 + static_cast<int64_t>(fed_++);
      frame.Add(record);
    }
    return AppendInput(IngestHeader(FrameKind::kData, records.size()), frame.Finish());
  }
  void EndInput() { AppendInput(IngestHeader(FrameKind::kEnd, 0), FrameBuilder(FrameKind::kEnd).Finish()); }
  // As an owner writes it, again and again where it does not know that it is stored.
  void AddLetter(const std::string& id) {
    Append(DeadLetterSubject("j", kFirstSegment, kPartition), "",
           StrCat(R"({"id":")", id, R"(","uid":")", kUid, R"(","error":"no"})"));
  }
  uint64_t LogMessages() {
    return bus_->GetStream(InputStream("j", kFirstSegment, kPartition))->last_sequence;
  }
  std::vector<std::string> Listed() {
    std::vector<std::string> ids;
    const auto letters = ListDeadLetters(*bus_, clock_, job_);
    EXPECT_TRUE(letters.ok()) << letters.status();
    for (const LetterJson& letter : *letters) {
      ids.push_back(StrCat(letter["id"].get<std::string>(), " ", letter["retried_offset"].dump()));
    }
    return ids;
  }
  // What the owner makes of the log: "key=value@time" of each record that counts.
  std::vector<std::string> Taken() {
    struct Sink : StepSink {
      void Emit(const RecordView& record) override {
        int64_t value = 0;
        PackToken token;
        if (PackReader(record.value).Next(&token)) value = token.integer;
        taken.push_back(StrCat(record.key, "=", value, "@", record.time_ms));
      }
      void Reject(const DeadLetter& letter) override { taken.push_back(StrCat("rejected ", letter.error)); }
      std::vector<std::string> taken;
    } sink;
    const auto replay =
        PartitionReplay::Create(SegmentVersionsOf({spec_}, kFirstSegment), kUid, kPartition, {});
    EXPECT_TRUE(replay.ok());
    for (uint64_t n = 1; n <= LogMessages(); ++n) {
      const auto message = bus_->GetMessage(InputStream("j", kFirstSegment, kPartition), n);
      EXPECT_TRUE((*replay)->Take(*message, sink).ok());
    }
    return sink.taken;
  }

  void MakeStream(const std::string& name, const std::string& subject) {
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    config.description = StreamDescription(kUid);
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const JobSpec spec_;
  JobRecord job_;

 private:
  std::string IngestHeader(FrameKind kind, uint64_t records) const {
    return FormatMessageHeader(
        {kind, kUid, kIngestWriter, Epoch(1), Mark{fed_ - records, 0}, Mark{fed_, 0}, fed_});
  }

  uint64_t fed_ = 0;
};

}  // namespace millrace
