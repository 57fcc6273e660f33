// A job of one partition in memory: its log, what an owner makes of it, and a verification of both.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/msgpack.h"
#include "coordinator/verify/partition_replay.h"
#include "coordinator/verify/verifier.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {

inline constexpr char kVerifyUid[] = "00000000000000aa";
inline constexpr char kVerifyJob[] =
    "name: j\nkey: k\npartitions: 1\nstages:\n"
    "  - filter: r.v > 0 or error('not positive')\n    name: check\n  - aggregate: { n: count(), s: sum(v) "
    "}\n";

// Gathers what the replay puts out: what an owner would have written.
struct GatheringSink : StepSink {
  void Emit(const RecordView& record) override {
    keys.emplace_back(record.key);
    values.emplace_back(record.value);
    fields.emplace_back(record.fields->begin(), record.fields->end());
    labels.emplace_back(record.offset, record.index);
    times.push_back(record.time_ms);
  }
  void Reject(const DeadLetter& letter) override { rejected.push_back(letter.record); }
  std::vector<std::string> keys, values;
  std::vector<std::vector<std::string>> fields;
  std::vector<std::pair<Offset, uint32_t>> labels;
  std::vector<int64_t> times;
  std::vector<uint32_t> rejected;
};

class VerifierTest : public testing::Test {
 protected:
  explicit VerifierTest(const std::string& job = kVerifyJob) : spec_(*ParseJob("job.yaml", job)) {
    job_.name = "j";
    job_.uid = kVerifyUid;
    job_.partitions = 1;
    cluster_.jobs["j"] = job_;
    EXPECT_TRUE(bus_->CreateBucket(kEpochsBucket).ok());
    MakeStream(InputStream("j", kFirstSegment, kPartition), InputSubject("j", kFirstSegment, kPartition));
    MakeStream(ResultStream("j", kPartition), ResultSubject("j", kPartition));
    MakeStream(VerdictStream("j", kFirstSegment, kPartition), VerdictSubject("j", kFirstSegment, kPartition));
    MakeStream(DeadLetterStream("j"), DeadLetterSubjects("j"));
    ClaimEpoch(1);
  }
  void MakeStream(const std::string& name, const std::string& subject) {
    StreamConfig config;
    config.name = name;
    config.subjects = {subject};
    config.description = StreamDescription(kVerifyUid);
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  void ClaimEpoch(uint64_t epoch) {
    const std::string key = EpochKey(kVerifyUid, OwnerWriter(kFirstSegment, kPartition), Epoch(epoch));
    EXPECT_TRUE(bus_->CreateKey(kEpochsBucket, key, "owner").ok());
  }
  void Append(const std::string& subject, const MessageHeader* header, std::string_view payload) {
    const std::string text = header == nullptr ? "" : FormatMessageHeader(*header);
    AppendRequest request;
    request.subject = subject;
    request.header = text;
    request.payload = payload;
    ASSERT_TRUE(bus_->AppendAndWait(request).ok());
  }
  void AppendInput(FrameKind kind, const std::vector<int64_t>& values) {
    FrameBuilder frame(kind);
    const std::string_view fields[] = {"v"};
    const uint32_t shape = values.empty() ? 0 : frame.InternShape(fields);
    for (const int64_t value : values) {
      std::string packed;
      PackWriter(&packed).Int(value);
      RecordView record;
      record.key = "a";
      record.value = packed;
      record.shape = shape;
      frame.Add(record);
    }
    const Mark prev = {fed_, 0};
    fed_ += values.size();
    const MessageHeader header = {kind, kVerifyUid, kIngestWriter, Epoch(1), prev, Mark{fed_, 0}, fed_};
    Append(InputSubject("j", kFirstSegment, kPartition), &header, frame.Finish());
  }
  void Feed(const std::vector<int64_t>& values) {
    AppendInput(FrameKind::kEpoch, {});
    AppendInput(FrameKind::kData, values);
    AppendInput(FrameKind::kEnd, {});
  }
  // What the owner makes of the log; and keeps in `replay_`, as its state.
  GatheringSink Run() {
    GatheringSink sink;
    replay_ = *PartitionReplay::Create(SegmentVersionsOf({spec_}, kFirstSegment), kVerifyUid, kPartition, {});
    for (uint64_t n = 1; n <= bus_->GetStream(InputStream("j", kFirstSegment, kPartition))->last_sequence;
         ++n) {
      EXPECT_TRUE(
          replay_->Take(*bus_->GetMessage(InputStream("j", kFirstSegment, kPartition), n), sink).ok());
    }
    return sink;
  }
  void AppendResultMark(FrameKind kind, uint64_t epoch, Mark at) {
    FrameBuilder frame(kind);
    const MessageHeader header = {kind, kVerifyUid, OwnerWriter(kFirstSegment, kPartition), Epoch(epoch), at,
                                  at,   0};
    Append(ResultSubject("j", kPartition), &header, frame.Finish());
  }
  void AppendResults(const GatheringSink& sink, size_t count, uint64_t epoch) {
    FrameBuilder frame(FrameKind::kResults);
    for (size_t i = 0; i < count; ++i) {
      const std::vector<std::string_view> fields(sink.fields[i].begin(), sink.fields[i].end());
      RecordView record;
      record.key = sink.keys[i];
      record.value = sink.values[i];
      record.shape = frame.InternShape(fields);
      record.time_ms = sink.times[i];
      record.offset = sink.labels[i].first;
      record.index = sink.labels[i].second;
      frame.Add(record);
    }
    const Mark upto = Mark::AfterFrame(replay_->offset());
    const MessageHeader header = {FrameKind::kResults,
                                  kVerifyUid,
                                  OwnerWriter(kFirstSegment, kPartition),
                                  Epoch(epoch),
                                  Mark(),
                                  upto,
                                  count};
    Append(ResultSubject("j", kPartition), &header, frame.Finish());
  }
  // The whole of what an owner of this epoch leaves behind; of its results the first `count`.
  void Own(uint64_t epoch, size_t count = SIZE_MAX) {
    const GatheringSink sink = Run();
    AppendResultMark(FrameKind::kEpoch, epoch, {});
    AppendResults(sink, std::min(count, sink.keys.size()), epoch);
    AppendResultMark(FrameKind::kEnd, epoch, Mark::AfterFrame(replay_->offset()));
  }
  void AppendLetter(const std::string& id) {
    const nlohmann::json letter = {{"id", id}, {"uid", kVerifyUid}, {"partition", 0}};
    Append(DeadLetterSubject("j", kFirstSegment, kPartition), nullptr, letter.dump());
  }
  void Complete() {
    FinalStatus final_status;
    final_status.state = "completed";
    cluster_.finals[kVerifyUid] = final_status;
  }
  VerifyReport Verify(BlobStore* checkpoints = nullptr) {
    auto report = Verifier(*bus_, SystemClock(), cluster_, job_, {spec_}, checkpoints).Run();
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : VerifyReport();
  }

  static constexpr PartitionId kPartition{0};
  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const JobSpec spec_;
  JobRecord job_;
  Cluster cluster_;
  std::unique_ptr<PartitionReplay> replay_;
  uint64_t fed_ = 0;
};

}  // namespace millrace
