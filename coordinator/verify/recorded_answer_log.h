// The answers in a partition's verdict stream, read beside its log: as far ahead as the log needs them, and forgotten
// behind it, so that a long log takes no more memory than a short one.
#pragma once

#include <memory>
#include <string>

#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/frame/writer_cursors.h"
#include "common/handler/recorded_answers.h"
#include "common/ids.h"
#include "coordinator/local/answer_source.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {

// Answers are written nearly in the order of the log; one that has not come within so much of others is taken for one
// that does not exist.
inline constexpr size_t kMaxAnswerBytesAhead = 64 << 20;

// Not thread-safe.
class RecordedAnswerLog final : public AnswerSource {
 public:
  // Up to the stream's present end. `streams` outlives it. NOT_FOUND: no such stream.
  static absl::StatusOr<std::unique_ptr<RecordedAnswerLog>> Open(Bus& bus, StreamSet& streams,
                                                                 const JobRecord& job, SegmentId segment,
                                                                 PartitionId partition);
  ~RecordedAnswerLog() override;

  absl::StatusOr<std::shared_ptr<const std::string>> Find(const std::string& stage,
                                                          const HandlerCall& call) override;
  // Nothing up to this message is asked for any more.
  void ForgetUpTo(Offset offset);

 private:
  RecordedAnswerLog(StreamSet& streams, StreamSet::Id stream, const std::string& uid);
  absl::StatusOr<bool> ReadOn();

  StreamSet& streams_;
  const StreamSet::Id stream_;
  WriterCursors cursors_;
  bool at_end_ = false;
  Offset done_;
  RecordedAnswers answers_;
};

}  // namespace millrace
