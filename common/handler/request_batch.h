// Several records' requests as one, and its answer as theirs: what `batch` beside a `call` comes to. Pure.
//
// A batch is a list in JSON with an item for each record. An answer that is a list has an item for each record, too, in
// their order; one that is no list is everybody's.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/handler/call_request.h"

namespace millrace {

inline constexpr size_t kMaxBatchRequestBytes = 1
                                                << 20;  // of its records' bodies, where one alone has no more
inline constexpr size_t kMaxBatchAnswerBytes = 4 << 20;   // of the answer to all of them
inline constexpr size_t kMaxSharedAnswerBytes = 4 << 10;  // of one that is everybody's: it is kept for each

// What tells a request of these records from all others but its repeats: a digest. REQUIRES: not empty.
std::string RequestId(const std::vector<const HttpCallRequest*>& records);

// With the label of the first. REQUIRES: not empty; they have one URL, and bodies in JSON.
HttpCallRequest JoinRequests(const std::vector<const HttpCallRequest*>& records);

// As PackHttpAnswer, for each of the records; one may be too large while the others are not. INVALID_ARGUMENT, one line:
// it is the answer to another number of records, or no JSON though it says so.
absl::StatusOr<std::vector<absl::StatusOr<std::string>>> SplitAnswer(const HttpAnswer& answer,
                                                                     size_t records);

}  // namespace millrace
