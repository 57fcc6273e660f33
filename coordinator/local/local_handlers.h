// The handler processes of stages that run here and not in a worker: `try`, `test`, `verify` and `replay` listen at
// the stage's endpoint themselves, under a name of their own in place of `{worker}`, and call handlers as a worker
// does. What services answer comes from an AnswerSource; without one (`try`) they are asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/handler/call_memos.h"
#include "common/handler/call_server.h"
#include "common/job/job_spec.h"
#include "common/pipeline/verdict_attempts.h"
#include "coordinator/local/answer_source.h"

namespace millrace {

inline constexpr absl::Duration kHandlerPatience = absl::Seconds(10);  // for the first of a stage's handlers

// On the caller's thread. Not thread-safe.
class LocalHandlers {
 public:
  struct Options {
    std::string name;  // the command's: "try"
    absl::Duration patience = kHandlerPatience;
    // Called while handlers work; an error ends the wait.
    std::function<absl::Status()> check = [] { return absl::OkStatus(); };
  };
  LocalHandlers(Options options, Clock& clock);
  ~LocalHandlers();

  // What a pipeline of the job's stages asks through; null where none of them has handlers. `uid`: the job's. They
  // must be gone before this is.
  // `answers`: of services, also for Await; null: they are asked.
  std::unique_ptr<CallMemos> MakeMemos(const JobSpec& job, const std::string& uid,
                                       const AnswerSource* answers = nullptr);
  // Has what the Step asked for answered. A call that fails is one attempt of its record, counted in `attempts`.
  // UNAVAILABLE, one line: no handler came, or nothing can be bound. OUT_OF_RANGE: `answers` has none to the calls that
  // the Step has come to.
  absl::Status Await(CallMemos& memos, VerdictAttempts* attempts, AnswerSource* answers = nullptr);

 private:
  CallServer& ServerOf(const HandlerStage& stage);
  absl::Status Ask(CallMemos& memos, AnswerSource* answers);
  absl::Status CheckPatience(const CallMemos& memos, absl::Duration began);

  const Options options_;
  Clock& clock_;
  std::map<std::string, std::unique_ptr<CallServer>> servers_;  // by endpoint
  uint64_t askers_ = 0;
  CallMemos* awaited_ = nullptr;  // whom answers are for
};

}  // namespace millrace
