// What a job file's own test says that services answer: `test` asks nobody.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/job/job_spec.h"
#include "coordinator/local/answer_source.h"

namespace millrace {

// Not thread-safe.
class GivenAnswers final : public AnswerSource {
 public:
  explicit GivenAnswers(const std::vector<TestCall>& calls);

  // Those of a stage in their order, to its calls in theirs; the same call is answered alike each time.
  // INVALID_ARGUMENT: the test gives no more.
  absl::StatusOr<std::shared_ptr<const std::string>> Find(const std::string& stage,
                                                          const HandlerCall& call) override;

 private:
  std::map<std::string, std::vector<const TestCall*>> by_stage_;
  std::map<std::string, std::map<std::string, std::shared_ptr<const std::string>>> given_;  // by request
};

}  // namespace millrace
