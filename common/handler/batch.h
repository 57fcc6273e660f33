// A batch of calls as a message, and the result that a handler sends for it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/handler/handler_call.h"

namespace millrace {

// A call on its way out, with the state that its key then has.
struct BatchCall {
  const HandlerCall* call = nullptr;
  std::string_view state;  // packed; looked at for the first call of each key
  // What calls of one key have in common; calls that do not wait for one another have each their own, whatever their
  // keys.
  const void* line = nullptr;
};

// To whom a batch goes: threads of this process are told the places of its calls, too, and are trusted.
enum class BatchReader { kStranger, kOwnThread };

// REQUIRES: 1 to kMaxBatchCalls; those of one line one behind the other.
std::string BatchBody(std::string_view id, uint32_t attempt, absl::Span<const BatchCall> calls,
                      BatchReader reader = BatchReader::kStranger);

// A result that keeps the rules. `calls` has an outcome for each call of the batch that has one: those before
// `done` that did not stand behind a failed one of their key; kVoid for the others.
struct JudgedResult {
  size_t done = 0;
  std::vector<CallOutcome> calls;
};

// What a judge must know of a batch: which of its calls are of one key.
struct BatchShape {
  HandlerMode mode = HandlerMode::kKeyed;
  std::vector<uint32_t> key_of_call;
  BatchReader reader = BatchReader::kStranger;
};

// The `id` of a result: which batch to judge it by.
absl::StatusOr<std::string_view> ResultId(std::string_view body);

// INVALID_ARGUMENT, one line: it breaks a rule of docs/handlers.md, and nothing of it counts. What a thread of ours
// sends is held to the form alone, and a call that failed does not stop those behind it of its key.
enum class AfterBye { kNo, kYes };
absl::StatusOr<JudgedResult> JudgeResult(const BatchShape& batch, std::shared_ptr<const std::string> body,
                                         AfterBye after_bye);

}  // namespace millrace
