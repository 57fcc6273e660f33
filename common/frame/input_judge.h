// What a partition takes from its log: rule R3 over all of its writers, and what follows from it for the
// partition as a whole: when its input has ended, and how far event time has come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/frame/code_mark.h"
#include "common/frame/writer_cursors.h"

namespace millrace {

// Everything here is a function of the log, and comes back from the cursors that a commit keeps. Not
// thread-safe.
class InputJudge {
 public:
  // `writers`: all who feed the partition (SegmentSpec::InputWriters); others (ticks) may write as well.
  InputJudge(std::vector<std::string> writers, WriterCursors cursors);

  struct Taken {
    // A message that was cut anew after a take-over may begin before its writer's mark: records with labels
    // before this were taken with an earlier one.
    Mark taken_until;
    bool ends_input = false;  // this is the last end mark that was missing
  };
  // nullopt: the message counts for nothing.
  std::optional<Taken> Offer(const MessageHeader& header);

  // Takes in the watermark of the frame that was just taken, and answers the partition's: the least of its
  // writers', where one not heard from yet holds back, and one that has ended does not. kNoTime: none yet.
  int64_t RaiseWatermark(const std::string& writer, int64_t watermark_ms);

  // The version of the job's code behind the last code mark that was taken.
  uint64_t code_version() const { return CodeVersionOf(cursors_); }

  const WriterCursors& cursors() const { return cursors_; }

 private:
  bool AllEnded() const;
  int64_t FindWatermark() const;

  const std::vector<std::string> writers_;
  WriterCursors cursors_;
  bool ended_;
  int64_t watermark_ms_;
};

}  // namespace millrace
