// The logs of a job that is copied, written message by message.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/copy/copied_log.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {

inline constexpr char kOldJob[] = "old";
inline constexpr char kOldUid[] = "00000000000000aa";

struct OldRecord {
  std::string key;
  std::string value;
  int64_t time_ms = kNoTime;
};

class OldJob {
 public:
  OldJob(MemoryBroker& broker, uint32_t partitions) : bus_(broker.Connect()), marks_(partitions) {
    job_.name = kOldJob;
    job_.uid = kOldUid;
    job_.partitions = partitions;
    for (uint32_t p = 0; p < partitions; ++p) {
      StreamConfig config;
      config.name = Stream(p);
      config.subjects = {InputSubject(kOldJob, kFirstSegment, PartitionId(p))};
      config.description = StreamDescription(kOldUid);
      EXPECT_TRUE(bus_->CreateStream(config).ok());
    }
  }

  static std::string Stream(uint32_t p) { return InputStream(kOldJob, kFirstSegment, PartitionId(p)); }
  const JobRecord& record() const { return job_; }
  uint32_t partitions() const { return job_.partitions; }
  std::vector<CopiedLog> Logs(bool has_end = true) {
    const auto logs = LookAtLogs(*bus_, job_, has_end);
    EXPECT_TRUE(logs.ok()) << logs.status();
    return logs.ok() ? *logs : std::vector<CopiedLog>();
  }

  // A frame of the ingest, behind its last one.
  void Put(uint32_t p, const std::vector<OldRecord>& records, int64_t watermark_ms = kNoTime) {
    const Mark prev{marks_[p], 0};
    marks_[p] += records.size();
    PutFrame(p, {FrameKind::kData, kOldUid, kIngestWriter, Epoch(1), prev, Mark{marks_[p], 0}, marks_[p]},
             records, watermark_ms);
  }
  void End(uint32_t p) {
    const Mark at{marks_[p], 0};
    PutFrame(p, {FrameKind::kEnd, kOldUid, kIngestWriter, Epoch(1), at, at, marks_[p]}, {});
  }
  void EndAll() {
    for (uint32_t p = 0; p < partitions(); ++p) End(p);
  }
  void PutStranger(uint32_t p, std::string_view text) { Append(p, "", text); }
  void PutFrame(uint32_t p, const MessageHeader& header, const std::vector<OldRecord>& records,
                int64_t watermark_ms = kNoTime) {
    FrameBuilder frame(header.kind);
    frame.SetWatermark(watermark_ms);
    for (const OldRecord& old : records) {
      RecordView record;
      record.key = old.key;
      record.value = old.value;
      record.time_ms = old.time_ms;
      if (old.value.starts_with("headed")) frame.AddHeaders({{"h", "1"}});
      frame.Add(record);
    }
    Append(p, FormatMessageHeader(header), frame.Finish());
  }

 private:
  void Append(uint32_t p, const std::string& header, std::string_view payload) {
    const std::string subject = InputSubject(kOldJob, kFirstSegment, PartitionId(p));
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = payload;
    ASSERT_TRUE(bus_->AppendAndWait(request).ok());
  }

  std::unique_ptr<MemoryBus> bus_;
  JobRecord job_;
  std::vector<uint64_t> marks_;  // records so far, by partition
};

}  // namespace millrace
