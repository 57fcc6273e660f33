#include "coordinator/local/given_answers.h"

#include <utility>

#include "common/handler/call_request.h"
#include "common/strings.h"

namespace millrace {

GivenAnswers::GivenAnswers(const std::vector<TestCall>& calls) {
  for (const TestCall& call : calls) by_stage_[call.stage].push_back(&call);
}

absl::StatusOr<std::shared_ptr<const std::string>> GivenAnswers::Find(const std::string& stage,
                                                                      const HandlerCall& call) {
  auto& given = given_[stage];
  const auto before = given.find(call.packed);
  if (before != given.end()) return before->second;
  const std::vector<const TestCall*>& answers = by_stage_[stage];
  if (given.size() >= answers.size()) {
    return absl::InvalidArgumentError(StrCat("stage ", stage, " makes ", given.size() + 1,
                                             " requests, and the test answers ", answers.size(),
                                             " — a test asks no service: give the answers under `calls`"));
  }
  const TestCall& answer = *answers[given.size()];
  HttpAnswer http;
  http.code = answer.status;
  http.body = answer.body;
  if (answer.is_json) http.headers.emplace_back("content-type", "application/json");
  absl::StatusOr<std::string> packed = PackHttpAnswer(http);
  if (!packed.ok()) return packed.status();
  return given[call.packed] = std::make_shared<const std::string>(*std::move(packed));
}

}  // namespace millrace
