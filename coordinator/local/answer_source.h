// Where answers of services come from that are asked nothing here.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/handler/handler_call.h"

namespace millrace {

class AnswerSource {
 public:
  virtual ~AnswerSource() = default;
  // The answer to `call` of the stage, packed; null: there is none. An error ends what asked.
  virtual absl::StatusOr<std::shared_ptr<const std::string>> Find(const std::string& stage,
                                                                  const HandlerCall& call) = 0;
};

}  // namespace millrace
