// What services answered, as it is written into a partition's verdict stream: what runs there again takes it from here
// and asks nobody.
//
// An answer counts for the very same request of the same call: by offset, record, which of the record's calls of the
// stage, and a digest of the request's bytes. Of two with all of that in common the first counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "common/frame/verdict.h"
#include "common/handler/handler_call.h"
#include "common/ids.h"

namespace millrace {

// Of a request's bytes, as answers carry it.
std::string RequestDigest(std::string_view packed);
// The verdict with the answer to `call`, a packed value. REQUIRES: the call was done.
Verdict AnswerVerdict(const std::string& stage, const HandlerCall& call, const CallOutcome& outcome);

// So much is kept of answers that were written down, for a log that is run again; the rest is read when there is room.
inline constexpr size_t kMaxRecordedAnswerBytes = 64 << 20;

// Not thread-safe.
class RecordedAnswers {
 public:
  // REQUIRES: verdict.outcome is kAnswered.
  void Add(const Verdict& verdict);
  // Null: there is none. Holds until ForgetUpTo.
  std::shared_ptr<const std::string> Find(const std::string& stage, const HandlerCall& call) const;
  // Messages up to this one are done with.
  void ForgetUpTo(Offset offset);
  size_t bytes() const { return bytes_; }

 private:
  // offset, record, nth, stage, digest
  using Id = std::tuple<uint64_t, uint32_t, uint32_t, std::string, std::string>;

  std::map<Id, std::shared_ptr<const std::string>> answers_;
  size_t bytes_ = 0;
};

}  // namespace millrace
