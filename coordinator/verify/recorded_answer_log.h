// The answers in a partition's verdict stream, read beside its log: as far ahead as the log needs them, and forgotten
// behind it, so that a long log takes no more memory than a short one. Answers stand nearly in the order of the log. Where
// one is missing, and there is no room to read on, all of the rest is looked through for its message's answers alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/frame/verdict.h"
#include "common/frame/writer_cursors.h"
#include "common/handler/recorded_answers.h"
#include "common/ids.h"
#include "coordinator/local/answer_source.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

// Not thread-safe.
class RecordedAnswerLog final : public AnswerSource {
 public:
  // Up to the stream's present end. `streams` outlives it. NOT_FOUND: no such stream.
  static absl::StatusOr<std::unique_ptr<RecordedAnswerLog>> Open(Bus& bus, StreamSet& streams,
                                                                 const JobRecord& job, SegmentId segment,
                                                                 PartitionId partition,
                                                                 size_t max_bytes = kMaxRecordedAnswerBytes);
  ~RecordedAnswerLog() override;

  absl::StatusOr<std::shared_ptr<const std::string>> Find(const std::string& stage,
                                                          const HandlerCall& call) override;
  // Nothing up to this message is asked for any more.
  void ForgetUpTo(Offset offset);

 private:
  // A place in the stream, under R3.
  struct Place {
    StreamSet::Id stream;
    WriterCursors cursors;
    uint64_t read = 0;  // the last message
  };

  RecordedAnswerLog(StreamSet& streams, StreamRange range, const std::string& uid, size_t max_bytes);
  // The answers in the next message; nullopt at the end.
  absl::StatusOr<std::optional<std::vector<Verdict>>> Next(Place* place);
  absl::Status ReadOn();
  absl::Status Search(Offset offset);

  StreamSet& streams_;
  const StreamRange range_;
  const size_t max_bytes_;
  Place place_;
  bool at_end_ = false;
  Offset done_;
  Offset searched_;  // all answers to messages up to this one were read
  RecordedAnswers answers_;
};

}  // namespace millrace
